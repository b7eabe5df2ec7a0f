#!/usr/bin/env bash
# Mesa 22.3.6's lavapipe, by wgpu 0.32.0: in WGSL `(a * b - c) + (d * e - f)`, where products and differences are exact in
# FP32, the driver does not compute the second difference: it fuses `d * e` with `(a * b - c) - f`, so that the small sum is
# rounded as the large `f` is, and three digits are right. Each difference by itself is exact. A shader that keeps digits in
# differences has to hide them from the driver, here by an integer operation that changes nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
driver=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers)
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check wgpu==0.32.0 numpy==2.4.6
cat > "$work/sums.py" <<'PYTHON'
import numpy as np
import wgpu

SHADER = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
fn held(x: f32) -> f32 { return bitcast<f32>(min(bitcast<u32>(x), 0xfffffffeu)); }
fn low(x: f32) -> f32 { return x - floor(x * 4096.0) * 2.44140625e-4; }
@compute @workgroup_size(1) fn main() { y[0] = RESULT; }
"""
adapter = next(a for a in wgpu.gpu.enumerate_adapters_sync() if "llvmpipe" in a.info["device"])
device = adapter.request_device_sync()
# Factors have 12 bits each: products are exact.
x = np.float32([1.595703125, 2.513671875, 0.07135009765625, 15.87890625])


def run(result):
    usage = wgpu.BufferUsage
    buffers = [
        device.create_buffer_with_data(data=x, usage=usage.STORAGE),
        device.create_buffer(size=4, usage=usage.STORAGE | usage.COPY_SRC),
    ]
    module = device.create_shader_module(code=SHADER.replace("RESULT", result))
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module, "entry_point": "main"})
    group = device.create_bind_group(
        layout=pipeline.get_bind_group_layout(0),
        entries=[{"binding": at, "resource": {"buffer": buffer}} for at, buffer in enumerate(buffers)],
    )
    encoder = device.create_command_encoder()
    compute = encoder.begin_compute_pass()
    compute.set_pipeline(pipeline)
    compute.set_bind_group(0, group)
    compute.dispatch_workgroups(1)
    compute.end()
    device.queue.submit([encoder.finish()])
    return np.frombuffer(device.queue.read_buffer(buffers[1]), np.float32)[0]


first, second = run("low(x[0] * x[1])"), run("low(x[2] * x[3])")
together, held = run("low(x[0] * x[1]) + low(x[2] * x[3])"), run("held(low(x[0] * x[1])) + held(low(x[2] * x[3]))")
print(f"{first:.6e} + {second:.6e}: {together:.6e}, hidden from the driver {held:.6e}")
PYTHON
found=$("$work/venv/bin/python" "$work/sums.py" 2>/dev/null)
echo "mesa-vulkan-drivers $driver: $found"
# Seen on mesa-vulkan-drivers 22.3.6-1+deb12u2:
[ "$found" = "8.773804e-05 + 1.490116e-04: 2.365112e-04, hidden from the driver 2.367496e-04" ]
