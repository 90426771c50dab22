print("41")
