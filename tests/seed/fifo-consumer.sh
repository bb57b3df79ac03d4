# Consumer task
while read -r line; do
    echo "Received: $line"
    # Process JSON
    key=$(echo "$line" | jq -r .key)
    count=$(echo "$line" | jq -r .count)
done < "$OTTO_INPUT_PIPE"
