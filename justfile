# Silent Burst. `just serve` runs it, `just test` proves it; both set up what they need, once.

set shell := ["bash", "-euo", "pipefail", "-c"]

python := justfile_directory() / "target/venv/bin/python"

# The second driver that stands for a GPU, beside those that are installed
swiftshader := justfile_directory() / "target/swiftshader/vk_swiftshader_icd.json"

# ONNX Runtime's library, from its Python package
onnxruntime := justfile_directory() / "target/onnxruntime"

# ONNX Runtime with OpenVINO, whose CPU device stands for an NPU in the tests
openvino := justfile_directory() / "target/openvino"

# Qualcomm's provider, whose simulator of an NPU stands for one in the tests
qnn := justfile_directory() / "target/qnn"

# What `wasmtime serve` needs, and nothing that takes minutes more to build.
peer_features := "serve,run,cranelift,pooling-allocator,component-model,component-model-async,parallel-compilation,cache"

# Serve the demo guests on 127.0.0.1: HTTP 8000, metrics 8002
serve *flags: guests (_onnxruntime "optional")
    ORT_DYLIB_PATH="${ORT_DYLIB_PATH:-$(ls -d {{ onnxruntime }} 2>/dev/null || true)}" cargo run --release --locked --bin burst -- serve guests/demo.toml {{ flags }}

# Every test: units, promises, real clients. A filter runs some: `just test pool`
test *filter: guests _cases _reports _small_models _nodes _vulkan _swiftshader (_onnxruntime "needed") _npus
    VK_ADD_DRIVER_FILES={{ swiftshader }} BURST_PYTHON={{ python }} BURST_ONNXRUNTIME={{ onnxruntime }} BURST_OPENVINO={{ openvino }}/onnxruntime/capi BURST_QNN={{ qnn }}/onnxruntime_qnn cargo test --locked --workspace --features conformance {{ filter }}

# The proofs that take long, whole: a thousand nodes killed, half an hour. `just test` runs them small
soak: _nodes
    BURST_SOAK=1 cargo test --locked --workspace --features conformance --test house no_request_is_lost_with_a_node

# Formats, lints, documentation, and licences and sources of all crates; warnings are errors
check: _targets _deny
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets --features conformance -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
    for of in . guests; do target/tools/bin/cargo-deny --locked --manifest-path $of/Cargo.toml --config $PWD/deny.toml check licenses bans sources; done
    cd guests && cargo fmt --all --check
    cd guests && cargo clippy --locked --target-dir target --workspace --lib --examples --target wasm32-unknown-unknown -- -D warnings

# The example guests and the probes, as components
guests: _toolchain _targets
    cd guests && cargo build --locked --release --target-dir target --target wasm32-unknown-unknown --workspace --lib --examples

# Measure: host, burst, gpu, cluster. Prints a table, writes target/bench/<name>.json
bench name *flags: guests (_peers name) _nodes _vulkan (_onnxruntime "needed")
    BURST_PYTHON={{ python }} BURST_ONNXRUNTIME={{ onnxruntime }} cargo bench --locked --bench {{ name }} -- {{ flags }}

# ONNX's node tests on cpu, gpu, onnxruntime or swiftshader, beside its list in the tree: `just conformance cpu [--update] [Resize]`
conformance accelerator *flags: _cases _vulkan _swiftshader (_onnxruntime "needed")
    VK_ADD_DRIVER_FILES={{ swiftshader }} BURST_ONNXRUNTIME={{ onnxruntime }} cargo bench --locked --bench conformance -- {{ accelerator }} {{ flags }}

# Cases after public bug reports on cpu, gpu, onnxruntime or swiftshader, beside its list: `just reports cpu [--update] [casts]`
reports accelerator *flags: _reports _vulkan _swiftshader (_onnxruntime "needed")
    VK_ADD_DRIVER_FILES={{ swiftshader }} BURST_ONNXRUNTIME={{ onnxruntime }} cargo bench --locked --bench conformance -- {{ accelerator }} --set=reports {{ flags }}

# Models that packages ship or tools make, beside ONNX Runtime: `just zoo cpu [--update] [silero_vad5]`. Fetches 760 MB
zoo accelerator *flags: _models _vulkan (_onnxruntime "needed")
    BURST_ONNXRUNTIME={{ onnxruntime }} cargo bench --locked --bench conformance -- {{ accelerator }} --set=zoo {{ flags }}

# Train the models of digits and recommend again and write them into the tree
models: _clients
    {{ python }} guests/digits/model/train.py
    {{ python }} guests/recommend/model/train.py

# Build the guest that `burst compile` puts models into, and write it into the tree
graph-guest: guests
    cp guests/target/wasm32-unknown-unknown/release/graph.wasm guests/graph/graph.wasm

_targets:
    @rustup target list --installed | grep -qx wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown
    @rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2

_deny: _toolchain
    @target/tools/bin/cargo-deny --version 2>/dev/null | grep -qx 'cargo-deny 0.20.2' || { cargo install -q --locked --debug --root target/tools --target-dir target/tools/build cargo-deny@0.20.2 && rm -rf target/tools/build; }

_toolchain:
    @command -v cc >/dev/null || just _apt build-essential

_clients: _toolchain
    @[ -x {{ python }} ] || python3 -c 'import ensurepip' 2>/dev/null || just _apt python3 python3-venv
    @[ -x {{ python }} ] || python3 -m venv target/venv
    @cmp -s tests/requirements.txt target/venv/installed.txt || { {{ python }} -m pip install -q -r tests/requirements.txt && cp tests/requirements.txt target/venv/installed.txt; }
    @{{ python }} tests/bench/models.py

# Vulkan on the CPU: what stands for a GPU in the tests
_vulkan:
    @compgen -G "/usr/share/vulkan/icd.d/lvp_icd*" >/dev/null || just _apt libvulkan1 mesa-vulkan-drivers

# Another Vulkan on the CPU, from Debian's browser: strict where lavapipe is lenient
_swiftshader:
    @[ -e {{ swiftshader }} ] || just _unpack chromium-common target/swiftshader usr/lib/chromium/libvk_swiftshader.so usr/lib/chromium/vk_swiftshader_icd.json

# Once, from PyPI; without it, tract computes what ONNX Runtime would
_onnxruntime need:
    #!/usr/bin/env bash
    set -euo pipefail
    package=$(grep '^onnxruntime==' tests/requirements.txt)
    library="{{ onnxruntime }}/libonnxruntime.so.${package#*==}"
    [ ! -e "$library" ] || exit 0
    pip="python3 -m pip"
    [ ! -x {{ python }} ] || pip="{{ python }} -m pip"
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    if ! $pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$unpacked" "$package"; then
        echo "ONNX Runtime's library can't be fetched: \`pip download $package\` fails" >&2
        [ "{{ need }}" = optional ] && exit 0 || exit 1
    fi
    python3 -m zipfile -e "$unpacked"/*.whl "$unpacked"
    rm -rf "{{ onnxruntime }}"
    mkdir -p "{{ onnxruntime }}"
    cp "$unpacked"/onnxruntime/capi/libonnxruntime.so.* "{{ onnxruntime }}"

# Once, from PyPI: what stands for NPUs in the tests, on the one architecture that the wheels are built for. They are built
# for one Python; their libraries need none
_npus: _openvino _qnn

_openvino: (_wheel openvino "onnxruntime-openvino==1.24.1" "manylinux_2_28_x86_64" "onnxruntime/capi/{libonnxruntime.so.*,libonnxruntime_providers_*.so,libopenvino.so.2541,libopenvino_intel_cpu_plugin.so,libopenvino_onnx_frontend.so.2541,libtbb*}")

_qnn: (_wheel qnn "onnxruntime-qnn==2.7.0" "manylinux_2_35_x86_64" "onnxruntime_qnn.libs/* onnxruntime_qnn/{libonnxruntime_providers_qnn,libQnnHtp,libHtpPrepare,libQnnSystem}.so")

_wheel to package platform files: _clients
    #!/usr/bin/env bash
    set -euo pipefail
    [ "$(uname -m)" = x86_64 ] && [ ! -d "{{ to }}" ] || exit 0
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    {{ python }} -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.11 --platform {{ platform }} -d "$unpacked" {{ package }}
    {{ python }} -m zipfile -e "$unpacked"/*.whl "$unpacked/all"
    mkdir -p "{{ to }}.part"
    cd "$unpacked/all"
    cp -r --parents {{ files }} "{{ to }}.part"
    mv "{{ to }}.part" "{{ to }}"

# Files of a Debian package, without installing it
_unpack package to +files:
    #!/usr/bin/env bash
    set -euo pipefail
    command -v apt-get >/dev/null || { echo "take from Debian's {{ package }} into {{ to }}: {{ files }}" >&2; exit 1; }
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    cd "$unpacked"
    apt-get download -q {{ package }}
    dpkg-deb -x {{ package }}_*.deb .
    mkdir -p "{{ justfile_directory() }}/{{ to }}"
    cp {{ files }} "{{ justfile_directory() }}/{{ to }}"

# Networks of their own for nodes, and their papers
_nodes:
    @command -v ip >/dev/null && command -v nft >/dev/null && command -v openssl >/dev/null || just _apt iproute2 nftables openssl

_cases: _clients
    @{{ python }} tests/conformance/cases.py

_reports: _clients
    @{{ python }} tests/conformance/reports/write.py

# The twelve smallest, of three packages
_small_models: _clients
    @{{ python }} tests/zoo/zoo.py --small

_models: _clients
    @cmp -s tests/zoo/requirements.txt target/venv/zoo.txt || { {{ python }} -m pip install -q -r tests/zoo/requirements.txt && cp tests/zoo/requirements.txt target/venv/zoo.txt; }
    @command -v npm >/dev/null || just _apt npm
    @{{ python }} tests/zoo/zoo.py

# What we are measured beside; some of it takes minutes to build
_peers bench: _clients
    #!/usr/bin/env bash
    set -euo pipefail
    case {{ bench }} in
    host | burst)
        cmp -s tests/bench/requirements.txt target/venv/bench.txt || { {{ python }} -m pip install -q --disable-pip-version-check -r tests/bench/requirements.txt && cp tests/bench/requirements.txt target/venv/bench.txt; }
        command -v wrk >/dev/null && command -v runc >/dev/null || just _apt wrk runc
        packaged="silero_vad5 ppocr6_rec magika nudenet ddddocr_common"
        {{ python }} tests/zoo/zoo.py $packaged
        for model in $packaged; do {{ python }} tests/bench/models.py --only $model; done
        [ -x target/peers/bin/wasmtime ] || cargo install --locked wasmtime-cli@48.0.8 --no-default-features --features {{ peer_features }} --root target/peers --target-dir target/peers/build
        ;;
    cluster)
        [ -x target/peers/bin/nats-server ] || just _unpack nats-server target/peers/bin usr/sbin/nats-server
        ;;
    esac

# Debian packages, as root or with sudo
_apt +packages:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! command -v apt-get >/dev/null; then
        echo "install by hand: {{ packages }} (there is no apt-get here)" >&2
        exit 1
    fi
    if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo"; else
        echo "these Debian packages are missing: {{ packages }}" >&2
        echo "install them once: sudo apt-get install {{ packages }}" >&2
        exit 1
    fi
    $as_root apt-get update -q
    $as_root apt-get install -q -y --no-install-recommends {{ packages }}
