//! Writes frames of drawn scenes and who is in them, for the training of guests/people/model/train.py.
//!
//!     dump_scene DIRECTORY FIRST_SEED SEEDS FRAMES_PER_SEED WIDTH HEIGHT
//!
//! `frames.rgb`: one frame of HEIGHT x WIDTH x 3 bytes after the other, as a guest's view shows them. `truth.json`: per
//! frame its seed, sequence and people, their bounds in fractions of the frame. The extent of the camera differs from
//! seed to seed.

use burst_adapters::{
    cpu::view::view,
    frames::scene::{Scene, Sighting},
};
use burst_host::nouns::{Colour, ColourSpace, Element, Fit, Frame, Layout, PixelFormat, View};
use serde_json::{Value, json};
use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write},
    path::PathBuf,
    time::Instant,
};

const EXTENTS: [(u32, u32); 7] = [(640, 480), (320, 240), (640, 480), (1280, 960), (640, 480), (160, 120), (320, 240)];
const FPS: f32 = 5.0;
/// Frames from one sample to the next, so that somebody else is there.
const STRIDE: u64 = 97;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("no directory")?);
    let numbers = arguments.map(|argument| argument.parse()).collect::<Result<Vec<u64>, _>>()?;
    let [first, seeds, frames, width, height] = numbers[..] else { return Err("five numbers, please".into()) };
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);

    fs::create_dir_all(&directory)?;
    let mut pixels = BufWriter::new(File::create(directory.join("frames.rgb"))?);
    let mut truth = Vec::new();
    for seed in first..first + seeds {
        let extent = EXTENTS[(seed % EXTENTS.len() as u64) as usize];
        let scene = Scene::new(extent.0, extent.1, FPS, seed)?;
        for sequence in (0..frames).map(|index| index * STRIDE) {
            pixels.write_all(&shown(&scene, extent, sequence, (width, height))?)?;
            let people = people(&scene, extent, sequence);
            truth.push(json!({ "seed": seed, "sequence": sequence, "camera": extent, "people": people }));
        }
    }
    pixels.flush()?;
    fs::write(directory.join("truth.json"), serde_json::to_vec(&truth)?)?;
    Ok(())
}

fn shown(
    scene: &Scene,
    camera: (u32, u32),
    sequence: u64,
    (width, height): (u32, u32),
) -> Result<Vec<u8>, Box<dyn Error>> {
    let frame = Frame {
        camera: "scene".into(),
        sequence,
        captured_ns: 0,
        received: Instant::now(),
        width: camera.0,
        height: camera.1,
        format: PixelFormat::Nv12,
        colour: ColourSpace::default(),
        pixels: scene.draw(sequence).into(),
    };
    let wanted = View {
        crop: None,
        width,
        height,
        fit: Fit::Stretch,
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        element: Element::U8,
        scale: [1.0; 3],
        bias: [0.0; 3],
    };
    Ok(view(&frame, &wanted)?.contents().ok_or("not on the host")?.to_vec())
}

fn people(scene: &Scene, (width, height): (u32, u32), sequence: u64) -> Vec<Value> {
    let (width, height) = (f64::from(width), f64::from(height));
    let person = |sighting: Sighting| {
        let bounds = sighting.bounds;
        json!({
            "left": f64::from(bounds.left) / width,
            "top": f64::from(bounds.top) / height,
            "width": f64::from(bounds.width) / width,
            "height": f64::from(bounds.height) / height,
            "visible": sighting.visible,
        })
    };
    scene.sightings(sequence).into_iter().map(person).collect()
}
