//! Decompresses request bodies piece by piece, and stops at once where a few bytes would become many.

use super::refusal::Refusal;
use axum::http::{HeaderMap, header};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use std::io::{self, Write};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    /// zlib's format, which HTTP calls deflate.
    Deflate,
}

impl Coding {
    /// What `Content-Encoding` says; `None` for a body as it is.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let (value, more) = (values.next(), values.next());
        let name = value.map_or(Some(""), |value| value.to_str().ok()).map(|name| name.trim().to_ascii_lowercase());
        match name.as_deref() {
            _ if more.is_some() => Err(Refusal::media("a body is compressed at most once")),
            Some("" | "identity") => Ok(None),
            Some("gzip" | "x-gzip") => Ok(Some(Self::Gzip)),
            Some("deflate") => Ok(Some(Self::Deflate)),
            _ => Err(Refusal::media("the content encodings known here are gzip and deflate")),
        }
    }
}

/// A decompression that is under way.
pub(crate) struct Inflate {
    decoder: Decoder,
    max_bytes: usize,
    pushed: usize,
}

enum Decoder {
    /// In any number of members, as RFC 1952 has it.
    Gzip(MultiGzDecoder<Bounded>),
    Deflate(ZlibDecoder<Bounded>),
}

impl Inflate {
    /// How much larger than its compressed form a body may be, once it is above `FREE_BYTES`.
    const RATIO_MAX: usize = 20;
    const FREE_BYTES: usize = 1 << 20;

    pub fn new(coding: Coding, max_bytes: usize) -> Self {
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(Bounded::default())),
            Coding::Deflate => Decoder::Deflate(ZlibDecoder::new(Bounded::default())),
        };
        Self { decoder, max_bytes, pushed: 0 }
    }

    /// Decompresses some more.
    pub fn push(&mut self, compressed: &[u8]) -> Result<(), Refusal> {
        self.pushed = self.pushed.saturating_add(compressed.len());
        let allowed = self.pushed.saturating_mul(Self::RATIO_MAX).max(Self::FREE_BYTES).min(self.max_bytes);
        self.bounded_mut().allowed = allowed;
        let written = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.write_all(compressed),
            Decoder::Deflate(decoder) => decoder.write_all(compressed),
        };
        written.map_err(|_| self.refusal())
    }

    /// Decompressed bytes so far.
    pub fn len(&self) -> usize {
        self.bounded().whole.len()
    }

    /// The decompressed body. Fails when the compressed one was cut off or damaged.
    pub fn finish(mut self) -> Result<Vec<u8>, Refusal> {
        let finished = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Deflate(decoder) => decoder.try_finish(),
        };
        finished.map_err(|_| self.refusal())?;
        Ok(std::mem::take(&mut self.bounded_mut().whole))
    }

    fn refusal(&self) -> Refusal {
        match self.bounded() {
            Bounded { full: true, allowed, .. } if *allowed == self.max_bytes => Refusal::too_large(self.max_bytes),
            Bounded { full: true, .. } => Refusal::ratio(),
            _ => Refusal::invalid("the compressed body is cut off or damaged"),
        }
    }

    fn bounded(&self) -> &Bounded {
        match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Deflate(decoder) => decoder.get_ref(),
        }
    }

    fn bounded_mut(&mut self) -> &mut Bounded {
        match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Deflate(decoder) => decoder.get_mut(),
        }
    }
}

/// Takes up to so many bytes.
#[derive(Default)]
struct Bounded {
    whole: Vec<u8>,
    allowed: usize,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.allowed.saturating_sub(self.whole.len()) {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.whole.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn check(compressed: &[u8], max_bytes: usize) -> Result<usize, String> {
        let mut inflate = Inflate::new(Coding::Gzip, max_bytes);
        let pushed = compressed.chunks(1000).try_for_each(|slice| inflate.push(slice));
        pushed.and_then(|()| inflate.finish()).map(|whole| whole.len()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn whole_bodies_come_out_and_damaged_ones_do_not() {
        let compressed = gzip(&[1; 1000]);
        assert_eq!(check(&compressed, 1 << 20), Ok(1000));
        assert_eq!(check(&gzip(&vec![0; 1 << 20]), 1 << 21), Ok(1 << 20));
        assert_eq!(check(&[gzip(&[1; 10]), gzip(&[2; 20])].concat(), 1 << 20), Ok(30));
        let damaged = Err("the compressed body is cut off or damaged".to_owned());
        assert_eq!(check(&compressed[..compressed.len() - 1], 1 << 20), damaged);
        assert_eq!(check(&[compressed.as_slice(), b"more"].concat(), 1 << 20), damaged);
        assert_eq!(check(b"not gzip at all", 1 << 20), damaged);
        assert_eq!(check(b"", 1 << 20), damaged);
    }

    #[test]
    fn bombs_are_stopped() {
        let bomb = gzip(&vec![0; 8 << 20]);
        assert_eq!(check(&bomb, 64 << 20), Err("the body is compressed more than 20 to 1".into()));
        assert_eq!(check(&bomb, 1000), Err("the body is above 1000 bytes".into()));
    }
}
