from otto import OttoClient

# Usage
otto = OttoClient()
otto.set("version", "1.2.3")
otto.set("status", "building")

build_version = otto.get("build.version")
