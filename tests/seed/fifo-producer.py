import json
import os

# Producer
with open(os.environ['OTTO_OUTPUT_PIPE'], 'w') as pipe:
    for i in range(100):
        data = {"index": i, "value": f"item-{i}"}
        json.dump(data, pipe)
        pipe.write('\n')  # Newline delimiter
        pipe.flush()  # Important!
