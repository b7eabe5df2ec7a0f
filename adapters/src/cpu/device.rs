//! What the CPU of this machine is called, and how much memory it has.

use burst_host::ports::{Device, DeviceKind};
use std::{env::consts::ARCH, fs};

/// Linux says both in /proc; elsewhere the architecture has to do.
pub(crate) fn this_machine() -> Device {
    Device {
        kind: DeviceKind::Cpu,
        name: field("/proc/cpuinfo", "model name").unwrap_or_else(|| ARCH.into()),
        driver: "tract 0.23.9".into(),
        memory_bytes: field("/proc/meminfo", "MemTotal").as_deref().and_then(kibibytes),
    }
}

/// The value of the first `key: value` line with this key.
fn field(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_driver_is_the_locked_version() {
        let lock = include_str!("../../../Cargo.lock");
        let version = super::this_machine().driver.replace("tract ", "");
        assert!(lock.contains(&format!("name = \"tract-onnx\"\nversion = \"{version}\"")));
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(super::kibibytes("16 kB"), Some(16384));
        assert_eq!(super::kibibytes("16 MB"), None);
    }
}
