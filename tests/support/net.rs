//! A network of this test's own: a namespace for each node, a bridge between them. Needs root.

use std::{
    fs::File,
    os::fd::AsRawFd,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Nodes `10.77.0.1`, `10.77.0.2`, … It is taken down when dropped.
pub struct Net {
    prefix: String,
    count: usize,
}

impl Net {
    /// `None` where namespaces can't be made; on CI that is an error.
    pub fn new(count: usize) -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let net = Self { prefix: format!("burst-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed)), count };
        match net.build() {
            Ok(()) => Some(net),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "network namespaces: {error}");
                eprintln!("skipped: network namespaces: {error}");
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        run("nft", &["--version"])?;
        let hub = self.name(0);
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "bridge", "up"])?;
        for node in 1..=self.count {
            let (name, port) = (self.name(node), format!("port{node}"));
            ip(&["netns", "add", &name])?;
            ip(&["-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "net", "netns", &name])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "bridge", "up"])?;
            ip(&["-n", &name, "address", "add", &format!("{}/24", Self::address(node)), "dev", "net"])?;
            ip(&["-n", &name, "link", "set", "net", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    /// The namespace of a node, from 1 on; 0 is that of the bridge.
    pub fn name(&self, node: usize) -> String {
        format!("{}-{node}", self.prefix)
    }

    pub fn address(node: usize) -> String {
        format!("10.77.0.{node}")
    }

    /// Loses so many of a hundred packets that a node sends.
    pub fn lose(&self, node: usize, percent: u32) {
        let script = format!(
            "add table inet loss; add chain inet loss out {{ type filter hook output priority 0; }}; \
             flush chain inet loss out; add rule inet loss out numgen random mod 100 < {percent} drop"
        );
        ip(&["netns", "exec", &self.name(node), "nft", &script]).unwrap();
    }

    /// Cuts what is between two nodes, or mends it.
    pub fn cut(&self, nodes: [usize; 2], cut: bool) {
        let verb = if cut { "add" } else { "del" };
        for [from, to] in [nodes, [nodes[1], nodes[0]]] {
            ip(&["-n", &self.name(from), "route", verb, "blackhole", &format!("{}/32", Self::address(to))]).unwrap();
        }
    }

    /// Whether what a node sends to another one gets there.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        let found = ip(&["netns", "exec", &self.name(from), "ip", "route", "get", &Self::address(to)]);
        found.is_ok()
    }

    /// Makes the sockets of this thread sockets of a node.
    pub fn enter(&self, node: usize) {
        let file = File::open(format!("/run/netns/{}", self.name(node))).unwrap();
        // SAFETY: moves this thread alone to the namespace of an open descriptor.
        assert_eq!(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in 0..=self.count {
            let _ = ip(&["netns", "del", &self.name(node)]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
}
