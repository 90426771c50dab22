"""Fetches from each port that is named, and says how it went."""
import sys
import urllib.error
import urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for port in sys.argv[1:]:
    try:
        print(f"  | port {port}:", opener.open(f"http://127.0.0.1:{port}/", timeout=20).read().decode())
    except urllib.error.URLError as error:
        print(f"  | port {port}:", error.reason)
