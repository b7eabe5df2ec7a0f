//! Files read past the system's caches, and whether they are still what they were. Opens none.

use burst_host::ports::Revision;
use cap_std::fs::{File, OpenOptions};
use std::{io, time::Duration};

/// A file that was changed less than this ago may be changed again without a later time of it: clocks of file systems
/// tick a hundred times a second, some once in two.
pub const SETTLED: Duration = Duration::from_secs(2);

/// To open a file past the caches.
#[cfg(target_os = "linux")]
pub fn options(mut options: OpenOptions) -> OpenOptions {
    use cap_std::fs::OpenOptionsExt;
    // A pipe would make us wait for its writer.
    options.custom_flags(libc::O_DIRECT | libc::O_NONBLOCK);
    options
}

/// Other systems know no such way.
#[cfg(not(target_os = "linux"))]
pub fn options(options: OpenOptions) -> OpenOptions {
    options
}

/// Fills the blocks of `window` with a file that is `length` bytes long, no more and no less.
pub fn read(file: &File, window: &mut [u8], length: usize) -> io::Result<Option<Revision>> {
    let before = revision(file)?;
    whole(file.metadata()?.len(), length)?;
    let mut filled = 0;
    while filled < length {
        // A part of a block is the last: the next read would fail, and so would this one had the file more.
        match read_at(file, window.get_mut(filled..).unwrap_or_default(), filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    whole(filled as u64, length)?;
    Ok(before.filter(|before| matches!(revision(file), Ok(Some(after)) if after == *before)))
}

fn whole(found: u64, length: usize) -> io::Result<()> {
    if found == length as u64 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(unix)]
fn read_at(file: &File, window: &mut [u8], offset: u64) -> io::Result<usize> {
    cap_std::fs::FileExt::read_at(file, window, offset)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, window: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read(window)
}

/// Which file it is and when it was last changed, in its contents or its place: nobody can set that time back.
#[cfg(target_os = "linux")]
fn revision(file: &File) -> io::Result<Option<Revision>> {
    use cap_std::fs::MetadataExt;
    let metadata = file.metadata()?;
    let changed = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let settled = now.checked_sub(SETTLED).is_some_and(|then| i128::from(changed) < then.as_nanos() as i128);
    let (device, inode, length) = (metadata.dev(), metadata.ino(), metadata.len());
    Ok(settled.then(|| Revision(format!("{device}:{inode}:{length}:{changed}"))))
}

/// Elsewhere nobody knows: every read is a new one.
#[cfg(not(target_os = "linux"))]
fn revision(_: &File) -> io::Result<Option<Revision>> {
    Ok(None)
}

/// Lets the caches forget what came through them.
pub fn forget(file: &File) {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        // SAFETY: the descriptor is open as long as `file` is, and the call touches no memory of ours. It is a hint.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
