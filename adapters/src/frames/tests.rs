//! What every frame source must do, and what `open` refuses.

use super::*;
use burst_host::nouns::Frame;
use image::{DynamicImage, ImageFormat, RgbImage};
use std::{fs, num::NonZeroU32, time::Duration};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// Quick enough for a test, slow enough for pictures that become due one after the other.
const PERIOD: Duration = Duration::from_millis(20);
const RATE: f32 = 50.0;

fn scene(width: u32, height: u32) -> CameraSource {
    let [width, height] = [width, height].map(|extent| NonZeroU32::new(extent).unwrap());
    CameraSource::Scene { width, height, fps: RATE, seed: 1 }
}

fn replay(path: &str) -> CameraSource {
    CameraSource::Replay { path: path.into(), fps: Some(RATE) }
}

/// Two images and two films.
fn house() -> TempDir {
    let house = tempfile::tempdir().unwrap();
    let images = house.path().join("images");
    fs::create_dir(&images).unwrap();
    let image = |level| DynamicImage::from(RgbImage::from_pixel(7, 5, image::Rgb([level, 10, 20])));
    image(200).save_with_format(images.join("b.JPEG"), ImageFormat::Jpeg).unwrap();
    image(100).save_with_format(images.join("a.png"), ImageFormat::Png).unwrap();
    fs::write(images.join("notes.txt"), "not an image").unwrap();
    let film = |header: &str, bytes| {
        let mut film = format!("YUV4MPEG2 W7 H5 F100:1 {header}\n").into_bytes();
        for level in [1, 2, 3] {
            film.extend(b"FRAME\n");
            film.extend(vec![level; bytes]);
        }
        film
    };
    fs::write(house.path().join("colour.y4m"), film("C420jpeg", 35 + 24)).unwrap();
    fs::write(house.path().join("grey.y4m"), film("Cmono", 35)).unwrap();
    house
}

async fn next(source: &mut dyn FrameSource) -> Frame {
    timeout(Duration::from_secs(20), source.next()).await.unwrap().unwrap().unwrap()
}

/// Frames count from 0 without gaps, whole, not early, whatever happens to the futures; who is late sees no burst.
async fn conforms(mut source: Box<dyn FrameSource>) {
    let first = next(&mut *source).await;
    assert_eq!((&*first.camera, first.sequence), ("door", 0));

    let mut last = first.received;
    for sequence in 1..6 {
        let frame = next(&mut *source).await;
        assert_eq!(frame.sequence, sequence);
        assert_eq!(Some(frame.pixels.len()), frame.format.bytes(frame.width, frame.height));
        assert!(frame.received >= last && frame.captured_ns >= first.captured_ns);
        last = frame.received;
    }
    assert!(last.duration_since(first.received) >= 3 * PERIOD, "frames came early");

    let mut sequence = 6;
    for patience in 0..20 {
        // Dropped before it is due, and while the picture is made.
        if let Ok(frame) = timeout(PERIOD * patience / 16, source.next()).await {
            assert_eq!(frame.unwrap().unwrap().sequence, sequence);
            sequence += 1;
        }
    }
    sleep(10 * PERIOD).await;
    let late = next(&mut *source).await;
    assert_eq!(late.sequence, sequence);
    let mut frame = late.clone();
    for _ in 0..4 {
        frame = next(&mut *source).await;
    }
    assert!(frame.received.duration_since(late.received) >= 2 * PERIOD, "a burst after the pause");
}

#[tokio::test]
async fn every_source_conforms() {
    let house = house();
    for config in [scene(64, 48), scene(7, 5), replay("images"), replay("colour.y4m"), replay("grey.y4m")] {
        conforms(open("door", &config, house.path()).unwrap()).await;
    }
}

#[tokio::test]
async fn replays_start_over() {
    let house = house();
    let check = async |path, expected: &[u8]| {
        let mut source = open("door", &replay(path), house.path()).unwrap();
        for &level in expected {
            assert!(next(&mut *source).await.pixels[0].abs_diff(level) < 4);
        }
    };
    check("images", &[100, 200, 100, 200, 100]).await;
    check("colour.y4m", &[1, 2, 3, 1, 2]).await;
    check("grey.y4m", &[1, 2, 3, 1, 2]).await;
}

#[tokio::test]
async fn damaged_images_are_named_and_skipped() {
    let house = house();
    let images = house.path().join("images");
    fs::write(images.join("a2.png"), &fs::read(images.join("a.png")).unwrap()[..40]).unwrap();
    fs::write(images.join("a3.png"), b"").unwrap();
    fs::create_dir(images.join("a4.png")).unwrap();
    let mut source = open("door", &replay("images"), house.path()).unwrap();
    assert_eq!(next(&mut *source).await.pixels[0], 100);
    for name in ["a2.png", "a3.png", "a4.png"] {
        let Err(SourceError::Passing(what)) = source.next().await else { panic!("{name} is no image") };
        assert!(what.starts_with(&format!("`{name}` is skipped: ")), "{what}");
    }
    assert_eq!(next(&mut *source).await.sequence, 1);
}

#[tokio::test]
async fn huge_images_are_skipped_unread() {
    let house = house();
    let images = house.path().join("images");
    let wide = DynamicImage::from(image::GrayImage::new(EXTENT_MAX + 1, 1));
    wide.save_with_format(images.join("a.png"), ImageFormat::Png).unwrap();
    let file = fs::File::create(images.join("b.JPEG")).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let mut source = open("door", &replay("images"), house.path()).unwrap();
    for _ in 0..2 {
        assert!(matches!(source.next().await, Err(SourceError::Passing(_))));
    }
}

#[tokio::test]
async fn a_film_runs_at_its_own_rate() {
    let house = house();
    let config = CameraSource::Replay { path: "grey.y4m".into(), fps: None };
    let mut source = open("door", &config, house.path()).unwrap();
    let first = next(&mut *source).await.received;
    for _ in 0..4 {
        next(&mut *source).await;
    }
    // At the 5 frames per second of a replay without a rate this would be 800 ms at least.
    assert!(first.elapsed() >= Duration::from_millis(20));
}

#[test]
fn what_never_works_is_refused_at_once() {
    let house = house();
    fs::create_dir(house.path().join("empty")).unwrap();
    fs::write(house.path().join("film.mkv"), "").unwrap();
    fs::write(house.path().join("film.y4m"), "").unwrap();
    let check = |config: CameraSource, expected: &str| {
        let Err(SourceError::Permanent(what)) = open("door", &config, house.path()).map(drop) else {
            panic!("{config:?} is opened");
        };
        let what = what.replace(&format!("{}/", house.path().display()), "");
        assert_eq!(what, expected);
    };
    check(replay("empty"), "`empty` has no PNG or JPEG image");
    check(replay("nowhere"), "`nowhere` is not there");
    check(replay("film.mkv"), "`film.mkv` is neither a directory nor a `.y4m` file");
    check(replay("film.y4m"), "`film.y4m`: empty");
    check(scene(9000, 10), "a scene of 9000x10 is not within 1 to 8192");
    for fps in [0.0, -5.0, f32::NAN, f32::INFINITY] {
        let config = CameraSource::Replay { path: "images".into(), fps: Some(fps) };
        check(config, &format!("{fps} frames per second is not within 0.001 to 1000"));
    }
}
