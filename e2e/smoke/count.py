"""A job in Python. It produces count/WORD, a file with the number of letters of the word."""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "config":
        configs = []
        for ref in arguments:
            word = ref.removeprefix("count/")
            configs.append(
                {
                    "outputs": [{"str": ref}],
                    "inputs": [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": f"word/{word}"}}],
                    "args": [word],
                }
            )
        print(json.dumps({"configs": configs}))
    elif command == "exec":
        word = Path("word", arguments[0]).read_text().strip()
        Path("count").mkdir(exist_ok=True)
        Path("count", word).write_text(f"{len(word)}\n")
