//! A `.y4m` file, over and over: YUV4MPEG2 as mjpegtools' yuv4mpeg(5) describes it, 8 bits, 4:2:0 or luma only.

use super::{
    EXTENT_MAX,
    paced::{Picture, Reel},
};
use burst_host::{
    nouns::{ColourSpace, Matrix, PixelFormat, Range},
    ports::SourceError,
};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

/// Longest header of the stream or of a frame, its newline included.
const LINE_MAX_BYTES: usize = 1024;

/// A film, read frame by frame.
pub(super) struct Y4m<F = BufReader<File>> {
    /// For messages.
    name: String,
    file: F,
    header: Header,
    /// Where the first frame starts.
    start: u64,
    /// Of the frame that is read next.
    index: u64,
}

impl Y4m {
    /// Reads the stream header. `Permanent` when the file is missing, damaged, or of a format that nobody here reads.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        let regular = fs::metadata(path).map(|metadata| metadata.is_file());
        if !regular.map_err(|error| permanent(&name, &error.to_string()))? {
            return Err(permanent(&name, "not a file"));
        }
        let file = File::open(path).map_err(|error| permanent(&name, &error.to_string()))?;
        Self::new(name, BufReader::new(file))
    }
}

impl<F: BufRead + Seek> Y4m<F> {
    fn new(name: String, mut file: F) -> Result<Self, SourceError> {
        let line = line(&mut file).map_err(|error| permanent(&name, &error.to_string()))?;
        let line = line.ok_or_else(|| permanent(&name, "empty"))?;
        let header = Header::parse(&line).map_err(|what| permanent(&name, &what))?;
        Ok(Self { name, file, header, start: line.len() as u64 + 1, index: 0 })
    }

    /// The rate in the stream header, in frames per second.
    pub fn fps(&self) -> Option<f32> {
        self.header.fps
    }

    fn frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(line) = line(&mut self.file)? else { return Ok(None) };
        if line.split(|&byte| byte == b' ').next() != Some(b"FRAME") {
            return Err(invalid("no FRAME where one should start"));
        }
        let mut pixels = vec![0; self.header.frame_bytes];
        self.file.read_exact(&mut pixels).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => invalid("cut off"),
            _ => error,
        })?;
        if self.header.expand {
            pixels.iter_mut().for_each(|luma| *luma = expand(*luma));
        }
        Ok(Some(pixels))
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.index = 0;
        self.file.seek(SeekFrom::Start(self.start)).map(drop)
    }

    /// The next frame, from the start again after the last. Errors carry the frame that they are about.
    fn turn(&mut self) -> Result<Vec<u8>, (u64, io::Error)> {
        for _ in 0..2 {
            let index = self.index;
            match self.frame() {
                Ok(Some(pixels)) => {
                    self.index += 1;
                    return Ok(pixels);
                }
                Ok(None) => self.rewind().map_err(|error| (index, error))?,
                Err(error) => {
                    // What follows the damage has no known start.
                    self.rewind().map_err(|error| (index, error))?;
                    return Err((index, error));
                }
            }
        }
        Err((0, invalid("missing")))
    }
}

impl<F: BufRead + Seek + Send + 'static> Reel for Y4m<F> {
    fn next(&mut self) -> Result<Picture, SourceError> {
        let pixels = self.turn().map_err(|(index, error)| {
            let what = format!("`{}`: frame {index}: {error}", self.name);
            // Without one good frame, starting over changes nothing.
            if index == 0 { SourceError::Permanent(what) } else { SourceError::Passing(what) }
        })?;
        let Header { width, height, format, colour, .. } = self.header;
        Ok(Picture { width, height, format, colour, pixels: pixels.into() })
    }
}

#[derive(Debug, PartialEq)]
struct Header {
    width: u32,
    height: u32,
    format: PixelFormat,
    colour: ColourSpace,
    /// Luma alone is full range for us; this file's is not.
    expand: bool,
    fps: Option<f32>,
    frame_bytes: usize,
}

impl Header {
    fn parse(line: &[u8]) -> Result<Self, String> {
        let line = str::from_utf8(line).map_err(|_| "the stream header is not text")?;
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        if words.next() != Some("YUV4MPEG2") {
            return Err("not a YUV4MPEG2 stream".into());
        }
        let (mut width, mut height, mut fps, mut range) = (None, None, None, None);
        // The deprecated way to name the sampling counts only where the new one is missing.
        let (mut sampling, mut old_sampling) = (None, None);
        for word in words {
            match word.split_at_checked(1) {
                Some(("W", value)) => width = Some(extent(value)?),
                Some(("H", value)) => height = Some(extent(value)?),
                Some(("F", value)) => fps = rate(value)?,
                Some(("C", value)) => sampling = Some(value.to_owned()),
                Some(("I", value)) if !matches!(value, "p" | "?") => {
                    return Err(format!("interlaced (I{value}): deinterlace it first"));
                }
                Some(("X", value)) => match value.split_once('=') {
                    Some(("YSCSS", value)) => old_sampling = Some(value.to_ascii_lowercase()),
                    Some(("COLORRANGE", value)) => range = Some(colour_range(value)?),
                    _ => {}
                },
                _ => {}
            }
        }
        let (Some(width), Some(height)) = (width, height) else { return Err("no width or no height".into()) };
        let sampling = sampling.or(old_sampling).unwrap_or_else(|| "420jpeg".into());
        let format = pixel_format(&sampling)?;
        Ok(Self {
            width,
            height,
            format,
            colour: ColourSpace { matrix: matrix(width, height), range: range.unwrap_or_default() },
            expand: format == PixelFormat::Grey8 && range == Some(Range::Limited),
            fps,
            frame_bytes: format.bytes(width, height).ok_or("too large")?,
        })
    }
}

fn extent(value: &str) -> Result<u32, String> {
    let extent = value.parse().ok().filter(|extent| (1..=EXTENT_MAX).contains(extent));
    extent.ok_or_else(|| format!("an extent of `{value}` is not within 1 to {EXTENT_MAX}"))
}

/// `25:1` and the like; `0:0` is unknown.
fn rate(value: &str) -> Result<Option<f32>, String> {
    let parts = value.split_once(':').and_then(|(over, under)| Some((over.parse().ok()?, under.parse().ok()?)));
    match parts {
        Some((0u32, 0u32)) => Ok(None),
        Some((over @ 1.., under @ 1..)) => Ok(Some((f64::from(over) / f64::from(under)) as f32)),
        _ => Err(format!("`{value}` is no frame rate")),
    }
}

fn colour_range(value: &str) -> Result<Range, String> {
    match value {
        "FULL" => Ok(Range::Full),
        "LIMITED" => Ok(Range::Limited),
        _ => Err(format!("the colour range `{value}` is unknown")),
    }
}

/// The siting of chroma makes no difference here: half a pixel of colour at most.
fn pixel_format(sampling: &str) -> Result<PixelFormat, String> {
    match sampling {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(PixelFormat::I420),
        "mono" => Ok(PixelFormat::Grey8),
        _ => Err(format!("the colour sampling `{sampling}` is unsupported: 420 and mono of 8 bits are")),
    }
}

/// The format does not say; players take high definition for BT.709, and so does this.
fn matrix(width: u32, height: u32) -> Matrix {
    if width >= 1280 || height > 576 { Matrix::Bt709 } else { Matrix::Bt601 }
}

/// Limited luma to full.
fn expand(luma: u8) -> u8 {
    ((i32::from(luma) - 16) * 255 + 109).div_euclid(219).clamp(0, 255) as u8
}

/// A line without its newline; `None` at the end of the file.
fn line(file: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    file.take(LINE_MAX_BYTES as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() + 1 == LINE_MAX_BYTES => Err(invalid("a header that does not end")),
        Some(_) => Err(invalid("a header that is cut off")),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn permanent(name: &str, what: &str) -> SourceError {
    SourceError::Permanent(format!("`{name}`: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn film(bytes: &[u8]) -> Result<Y4m<Cursor<&[u8]>>, SourceError> {
        Y4m::new("film".into(), Cursor::new(bytes))
    }

    /// What the header of a film says, or the error; enough pixels follow for no frame.
    fn check(header: &str, expected: Result<(u32, u32, PixelFormat, Range, Option<f32>), &str>) {
        let found = film(format!("{header}\n").as_bytes()).map(|film| film.header);
        match (found, expected) {
            (Ok(header), Ok(expected)) => {
                let Header { width, height, format, colour, fps, .. } = header;
                assert_eq!((width, height, format, colour.range, fps), expected);
            }
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), format!("`film`: {expected}")),
            (found, expected) => panic!("{header}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn headers() {
        use PixelFormat::{Grey8, I420};
        use Range::{Full, Limited};
        check("YUV4MPEG2 W4 H2", Ok((4, 2, I420, Limited, None)));
        check("YUV4MPEG2 W4 H2 F30000:1001 Ip A1:1 C420mpeg2", Ok((4, 2, I420, Limited, Some(29.97003))));
        check("YUV4MPEG2 H3 W5 F0:0 I? A0:0 C420paldv XCOLORRANGE=FULL", Ok((5, 3, I420, Full, None)));
        check("YUV4MPEG2 W1 H1 Cmono", Ok((1, 1, Grey8, Limited, None)));
        check("YUV4MPEG2 W4 H2 XYSCSS=420MPEG2 Xwhatever", Ok((4, 2, I420, Limited, None)));
        check("YUV4MPEG2 W4 H2 C420 XYSCSS=444", Ok((4, 2, I420, Limited, None)));
        let sampling = |name| format!("the colour sampling `{name}` is unsupported: 420 and mono of 8 bits are");
        check("YUV4MPEG2 W4 H2 C444", Err(&sampling("444")));
        check("YUV4MPEG2 W4 H2 C420p10", Err(&sampling("420p10")));
        check("YUV4MPEG2 W4 H2 It", Err("interlaced (It): deinterlace it first"));
        check("YUV4MPEG2 W4", Err("no width or no height"));
        check("YUV4MPEG2 W0 H2", Err("an extent of `0` is not within 1 to 8192"));
        check("YUV4MPEG2 W4 H99999999999", Err("an extent of `99999999999` is not within 1 to 8192"));
        check("YUV4MPEG2 W4 H2 F25:0", Err("`25:0` is no frame rate"));
        check("YUV4MPEG2 W4 H2 F25", Err("`25` is no frame rate"));
        check("RIFF", Err("not a YUV4MPEG2 stream"));
        check("", Err("not a YUV4MPEG2 stream"));
        check(&"Y".repeat(5000), Err("a header that does not end"));
    }

    /// The luma of each of the next frames, or the error.
    fn play(bytes: &[u8], frames: usize) -> Vec<Result<u8, String>> {
        let mut film = film(bytes).unwrap();
        (0..frames)
            .map(|_| film.turn().map(|pixels| pixels[0]).map_err(|(at, error)| format!("{at} {error}")))
            .collect()
    }

    #[test]
    fn frames_loop() {
        let found = play(b"YUV4MPEG2 W2 H2 Cmono\nFRAME\naaaaFRAME Ip Xq\nbbbb", 5);
        assert_eq!(found, [Ok(b'a'), Ok(b'b'), Ok(b'a'), Ok(b'b'), Ok(b'a')]);
    }

    #[test]
    fn damage_is_told_and_left_behind() {
        let cut = |at| Err(format!("{at} cut off"));
        assert_eq!(play(b"YUV4MPEG2 W2 H2 Cmono\nFRAME\naaaaFRAME\nbb", 3), [Ok(b'a'), cut(1), Ok(b'a')]);
        assert_eq!(play(b"YUV4MPEG2 W2 H2 Cmono\nFRAME\naa", 2), [cut(0), cut(0)]);
        assert_eq!(play(b"YUV4MPEG2 W2 H2 Cmono\n", 1), [Err("0 missing".into())]);
        assert_eq!(play(b"YUV4MPEG2 W2 H2 Cmono\nFRAMED\naaaa", 1), [Err("0 no FRAME where one should start".into())]);
        assert_eq!(play(b"YUV4MPEG2 W2 H2 Cmono\nFRAME", 1), [Err("0 a header that is cut off".into())]);
    }

    #[test]
    fn limited_luma_becomes_full() {
        let found = play(b"YUV4MPEG2 W1 H1 Cmono XCOLORRANGE=LIMITED\nFRAME\n\x10FRAME\n\xebFRAME\n\x05FRAME\n\xff", 4);
        assert_eq!(found, [Ok(0), Ok(255), Ok(0), Ok(255)]);
    }
}
