// A tile of a product in registers: 4 rows by 32 columns an invocation, and no barrier. Drivers that compute on the CPU
// run eight invocations as one instruction but load for one after the other: few loads for many sums is what counts.
const ROWS = 4u;
const COLUMNS = 32u;
// Invocations of a workgroup; neighbours have neighbouring rows of the same columns.
const LANES = 8u;

// Quads of columns, each with its 4 rows.
var<private> sums0: mat4x4<f32>;
var<private> sums1: mat4x4<f32>;
var<private> sums2: mat4x4<f32>;
var<private> sums3: mat4x4<f32>;
var<private> sums4: mat4x4<f32>;
var<private> sums5: mat4x4<f32>;
var<private> sums6: mat4x4<f32>;
var<private> sums7: mat4x4<f32>;

fn outer(x: vec4<f32>, w: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(x * w.x, x * w.y, x * w.z, x * w.w);
}
