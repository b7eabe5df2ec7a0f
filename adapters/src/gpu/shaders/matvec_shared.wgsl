// Slices of the steps are summed side by side, then added up in the memory of the workgroup.
const SLICES = 32u;

var<workgroup> slices: array<vec4<f32>, 256>;

// The sum of all slices, for the first.
fn added(sum: vec4<f32>, lane: u32, slice: u32) -> vec4<f32> {
    slices[slice * 8u + lane] = sum;
    for (var half = SLICES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if slice < half {
            slices[slice * 8u + lane] += slices[(slice + half) * 8u + lane];
        }
    }
    return slices[slice * 8u + lane];
}
