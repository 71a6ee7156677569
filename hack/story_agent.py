"""An agent with one connection that stays open.

    story_agent.py PORT FOLDER BUNDLE < lines of "PATH DELEGATION"

For each line it asks once, and prints the status and what came, then a line with a dot.
"""

import http.client
import json
import ssl
import sys

port, folder, bundle = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=bundle)
context.check_hostname = False  # the name is a SPIFFE ID, which this library doesn't compare
context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
connection.connect()
number = connection.sock.getsockname()[1]
for line in sys.stdin:
    path, digest = line.split()
    connection.auto_open = 0  # this connection or none
    connection.request("GET", path, headers={"x-countersign-delegation": digest})
    answer = connection.getresponse()
    body = answer.read().decode()
    print(f"{answer.status} {answer.reason}, on the connection from port {number}")
    if answer.status == 200:
        print(body, end="")
    else:
        told = json.loads(body)
        print(f"  {told['reason']}: {told['explanation']}")
        print(f"  decision {answer.getheader('x-countersign-decision')}")
    print(".", flush=True)
