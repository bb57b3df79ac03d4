import json
import os

# Consumer
with open(os.environ['OTTO_INPUT_PIPE'], 'r') as pipe:
    for line in pipe:
        data = json.loads(line)
        print(f"Processing: {data}")
