//! Accepts connections and serves a router on them: every wait has an end, and closing waits for what is in flight.

use super::{kept::Kept, open::Open, socket::Socket};
use axum::Router;
use burst_host::nouns::manifest::Server;
use hyper::{
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Requests that one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 64;
/// Connections that the kernel keeps until there is room: a burst is not turned away.
const BACKLOG: u32 = 4096;
/// After which the kernel asks an idle peer whether it is still there, and gives up on one that takes no bytes.
const PEER_GONE: Duration = Duration::from_secs(60);

/// Binds a port; port 0 takes a free one.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // The kernel gives its children the same settings; they cost no timer and no call of ours.
    // Without `nodelay` a small answer waits for the acknowledgement of the one before.
    socket.set_nodelay(true)?;
    let reference = socket2::SockRef::from(&socket);
    reference.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(PEER_GONE))?;
    #[cfg(target_os = "linux")]
    reference.set_tcp_user_timeout(Some(PEER_GONE))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` is done; then what is in flight has `limits.drain_ms` to end. Streams without an end must
/// be ended by the caller ([`Broadcast::close`](crate::sinks::Broadcast::close)).
pub async fn serve(listener: TcpListener, router: Router, limits: &Server, shutdown: impl Future<Output = ()>) {
    let server = Arc::new(Connections::new(router, limits));
    let slots = Arc::new(Semaphore::new(limits.connections_max.get().min(Semaphore::MAX_PERMITS)));
    let (closing, closes) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, slot) = accept(&listener, &slots) => {
                connections.spawn(Arc::clone(&server).connection(stream, slot, closes.clone()));
            }
        }
    }
    drop((listener, closing));
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(Duration::from_millis(limits.drain_ms), ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off: the drain time is over");
    }
    connections.shutdown().await;
}

/// Waits for a free slot, then for a connection.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    /// Lets connections end when the process has no file descriptors left, instead of asking again at once.
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                drop(slot);
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

struct Connections {
    router: TowerToHyperService<Router>,
    builder: Builder<TokioExecutor>,
    idle_max: Duration,
}

impl Connections {
    fn new(router: Router, limits: &Server) -> Self {
        let idle_max = Duration::from_millis(limits.header_timeout_ms.get());
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(idle_max);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX).max_header_list_size(16 << 10);
        Self { router: TowerToHyperService::new(router), builder, idle_max }
    }

    /// Serves one connection until it ends, is idle, or `closes` is over.
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        _slot: OwnedSemaphorePermit,
        mut closes: watch::Receiver<()>,
    ) {
        let open = Open::default();
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let (answer, one) = (self.router.call(request), open.one());
            async { Ok::<_, Infallible>(answer.await?.map(|body| Kept::new(body, one))) }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(Socket::new(stream)), service));
        tokio::select! {
            biased;
            _ = &mut connection => return,
            () = open.idle(self.idle_max) => {}
            _ = closes.changed() => {}
        }
        connection.as_mut().graceful_shutdown();
        // Over HTTP/2 a client is asked whether it sends more, and need not answer.
        tokio::select! {
            _ = connection => {}
            () = open.idle(self.idle_max) => {}
        }
    }
}
