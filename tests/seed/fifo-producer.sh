# Producer task
echo '{"key": "value", "count": 42}' > "$OTTO_OUTPUT_PIPE"
echo '{"another": "item"}' > "$OTTO_OUTPUT_PIPE"
# Pipe stays open, can write multiple times
