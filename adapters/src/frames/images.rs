//! A directory of PNG and JPEG images in the order of their names, over and over.

use super::{
    EXTENT_MAX,
    paced::{Picture, Reel},
};
use burst_host::{
    nouns::{ColourSpace, PixelFormat},
    ports::SourceError,
};
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, error::LimitError, error::LimitErrorKind};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
};

const FILES_MAX: usize = 100_000;
const FILE_MAX_BYTES: u64 = 64 << 20;
/// Enough for the largest extent with four channels of 16 bits.
const DECODED_MAX_BYTES: u64 = (EXTENT_MAX as u64).pow(2) * 8;

/// The images of one directory, listed once.
pub(super) struct Images {
    directory: PathBuf,
    names: Vec<OsString>,
    index: usize,
}

impl Images {
    /// Lists `directory`. `Permanent` when it can't be read, has no image, or more than 100,000 of them.
    pub fn open(directory: &Path) -> Result<Self, SourceError> {
        let permanent = |what: String| SourceError::Permanent(format!("`{}` {what}", directory.display()));
        let names = list(directory).map_err(|error| permanent(format!("can't be listed: {error}")))?;
        match names.len() {
            0 => Err(permanent("has no PNG or JPEG image".into())),
            count if count > FILES_MAX => Err(permanent(format!("has more than {FILES_MAX} images"))),
            _ => Ok(Self { directory: directory.into(), names, index: 0 }),
        }
    }
}

impl Reel for Images {
    fn next(&mut self) -> Result<Picture, SourceError> {
        let name = &self.names[self.index];
        self.index = (self.index + 1) % self.names.len();
        read(&self.directory.join(name))
            .and_then(|file| decode(&file))
            .map_err(|error| SourceError::Passing(format!("`{}` is skipped: {error}", name.display())))
    }
}

fn list(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if is_image(&name) {
            names.push(name);
        }
        if names.len() > FILES_MAX {
            break;
        }
    }
    names.sort();
    Ok(names)
}

fn is_image(name: &OsString) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    // Before opening: a pipe of this name would make us wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file").into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(io::Error::other(format!("larger than {FILE_MAX_BYTES} bytes")).into());
    }
    Ok(bytes)
}

fn decode(file: &[u8]) -> Result<Picture, ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(EXTENT_MAX);
    limits.max_image_height = Some(EXTENT_MAX);
    limits.max_alloc = Some(DECODED_MAX_BYTES);
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    if decoder.total_bytes() > DECODED_MAX_BYTES {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)));
    }
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    Ok(Picture {
        width: image.width(),
        height: image.height(),
        format: PixelFormat::Rgb8,
        colour: ColourSpace::default(),
        pixels: image.into_raw().into(),
    })
}
