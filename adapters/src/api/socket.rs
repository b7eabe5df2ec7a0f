//! A client's connection, which ends where the client takes too little of its answers, and closes so that the last answer
//! arrives although the client is still sending.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// A client that takes no more than [`TAKEN_MIN_BYTES`] for so long is cut off.
const STALL: Duration = Duration::from_secs(30);
const TAKEN_MIN_BYTES: usize = 64 << 10;
/// What a client sends is read and dropped for so long after the last answer: closing at once would destroy the answer.
const LINGER: Duration = Duration::from_secs(5);

/// Reads and writes a TCP stream.
pub(super) struct Socket {
    stream: TcpStream,
    stall: Duration,
    stalled: Option<Stalled>,
    lingers: Option<Pin<Box<Sleep>>>,
}

/// Since the kernel took no more.
struct Stalled {
    ends: Pin<Box<Sleep>>,
    taken_bytes: usize,
}

impl Socket {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, stall: STALL, stalled: None, lingers: None }
    }

    fn stalled(&mut self) -> &mut Stalled {
        let stall = self.stall;
        self.stalled.get_or_insert_with(|| Stalled { ends: Box::pin(sleep(stall)), taken_bytes: 0 })
    }

    /// Notes what a write of `length` bytes came to.
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        length: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(taken)) if taken >= length => self.stalled = None,
            Poll::Ready(Ok(taken)) => self.stalled().taken_bytes += taken,
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(self.stalled().ends.as_mut().poll(context));
                let taken_bytes = self.stalled.take().map_or(0, |stalled| stalled.taken_bytes);
                if taken_bytes < TAKEN_MIN_BYTES {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                return self.wrote(context, length, Poll::Pending);
            }
        }
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wrote(context, pieces.iter().map(|piece| piece.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingers.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let lingers = this.lingers.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut space = [0; 16 << 10];
        loop {
            let mut dropped = ReadBuf::new(&mut space);
            match Pin::new(&mut this.stream).poll_read(context, &mut dropped) {
                Poll::Ready(Ok(())) if !dropped.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return lingers.as_mut().poll(context).map(Ok),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Both ends of a connection.
    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(listener.accept().await.unwrap().0), client)
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_cut_off() {
        let (mut socket, _client) = pair().await;
        socket.stall = Duration::from_millis(200);
        let written = socket.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_gets_everything() {
        let (mut socket, mut client) = pair().await;
        let read = tokio::spawn(async move {
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.unwrap();
            all.len()
        });
        socket.write_all(&vec![0; 64 << 20]).await.unwrap();
        socket.shutdown().await.unwrap();
        assert_eq!(read.await.unwrap(), 64 << 20);
    }

    #[tokio::test]
    async fn the_last_answer_arrives_although_the_client_still_sends() {
        let (mut socket, mut client) = pair().await;
        let server = tokio::spawn(async move {
            socket.write_all(b"no").await.unwrap();
            socket.shutdown().await.unwrap();
        });
        client.write_all(&vec![0; 32 << 20]).await.unwrap();
        let mut answer = Vec::new();
        client.shutdown().await.unwrap();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"no");
        server.await.unwrap();
    }
}
