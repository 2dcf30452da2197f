"""Fetch LiteRT.js, which runs networks in exported pages, and make one script and one binary of it.

``python -m data.build.litert`` writes ``kit/explorer/page/vendor/``: a classic script, which a page from disk
can run in a worker, and a binary that computes on one thread.
"""

import gzip
import re
from pathlib import Path

from data.build.sources import DATA, read

VERSION = "2.5.3"
PACKAGE = f"npm:@litertjs/core@{VERSION}"
GLUE = "wasm/litert_wasm_compat_internal"
VENDOR = DATA.parent / "kit" / "explorer" / "page" / "vendor"
START = f"""// LiteRT.js {VERSION}, Apache-2.0, https://github.com/google-ai-edge/LiteRT: see data/README.md.
globalThis.litertOf = (wasmBinary) => {{
const silent = () => {{}};
const glue = {{ wasmBinary, print: silent, printErr: silent }};
const createWasmLib = async (Lib) => new Lib(await ModuleFactory(glue));
"""
# Without a graphics device, which would only cost time.
END = """const open = async (file) => {
  const runtime = await load("litert.js");
  setGlobalLiteRt(runtime);
  runtime.setDefaultEnvironment(await Environment.create({ webGpuDevice: null }));
  return loadAndCompile(file, { accelerator: "wasm" });
};
return { open, Tensor };
};
"""


def text(path: str) -> str:
    """Return a text file of the package, without its address of a source map."""
    return re.sub(
        r"^//# sourceMapping.*\n?",
        "",
        read(PACKAGE, f"package/{path}").decode(),
        flags=re.MULTILINE,
    )


def script() -> str:
    """Return the modules and the glue as one function from the binary to what a page needs."""
    modules = re.sub(
        r"^import .*\n|^export \{[^}]*\};\n",
        "",
        text("dist/index.js"),
        flags=re.MULTILINE,
    )
    return START + text(f"{GLUE}.js") + modules + END


def write(path: Path, contents: bytes) -> None:
    """Write a file compressed, the same bytes each time."""
    path.write_bytes(gzip.compress(contents, 9, mtime=0))
    print(path, path.stat().st_size)


if __name__ == "__main__":
    VENDOR.mkdir(exist_ok=True)
    write(VENDOR / "litert.js.gz", script().encode())
    write(VENDOR / "litert.wasm.gz", read(PACKAGE, f"package/{GLUE}.wasm"))
