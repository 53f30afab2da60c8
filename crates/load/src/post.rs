//! One connection that publishes.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
};

use anyhow::{Context as _, Result, bail};

use crate::{request::Template, stream::Stream};

/// A connection with its requests on their way.
pub(crate) struct Post {
    pub(crate) stream: Stream,
    /// What goes out, and how much of it has.
    out: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    /// Numbers of the requests that wait for their answers, oldest first.
    waiting: VecDeque<u64>,
    answered: bool,
}

/// Largest answer that is read: refusals are short.
const ANSWER: usize = 16 * 1024;

// ----------------------------------------------------------------------------------------------

impl Post {
    pub(crate) fn new(stream: Stream, hello: &[u8], answered: bool) -> Self {
        Self {
            stream,
            out: hello.to_vec(),
            sent: 0,
            answer: Vec::new(),
            waiting: VecDeque::new(),
            answered,
        }
    }

    /// Adds a request to what goes out with the next [`Post::flush`].
    pub(crate) fn add(&mut self, template: &Template, number: u64) {
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        template.write(number, &mut self.out);
        self.waiting.push_back(number);
    }

    /// Sends what is left; the connection can take bytes.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a connection that publishes broke off"),
            }
        }
        match self.stream.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                Err(error).context("a connection that publishes broke off")
            }
            _ => Ok(()),
        }
    }

    /// The next request that needs no answer and is sent.
    pub(crate) fn take_sent(&mut self) -> Option<u64> {
        let sent = !self.answered && self.sent == self.out.len();
        if sent { self.waiting.pop_front() } else { None }
    }

    /// Reads all that is there.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => bail!(
                    "the server closed a connection that publishes: {}",
                    String::from_utf8_lossy(&self.answer)
                ),
                // What comes without a question (a greeting) is nobody's.
                Ok(_) if !self.answered => {}
                Ok(length) => self.answer.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a connection that publishes broke off"),
            }
        }
    }

    /// The next request that was answered.
    pub(crate) fn take_answered(&mut self) -> Result<Option<u64>> {
        let Some(length) = whole(&self.answer)? else {
            return Ok(None);
        };
        self.answer.drain(..length);
        Ok(self.waiting.pop_front())
    }
}

/// The length of the answer, once it is whole.
fn whole(answer: &[u8]) -> Result<Option<usize>> {
    let Some(head) = memchr::memmem::find(answer, b"\r\n\r\n").map(|at| at + 4) else {
        if answer.len() > ANSWER {
            bail!("an answer of the server has no end");
        }
        return Ok(None);
    };
    let text = std::str::from_utf8(&answer[..head]).context("an answer of the server is not HTTP")?;
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    let length = head + body.unwrap_or(0);
    if answer.len() < length {
        return Ok(None);
    }
    if !text.starts_with("HTTP/1.1 2") {
        bail!(
            "the server refused a request: {}",
            String::from_utf8_lossy(&answer[..length])
        );
    }
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_body() {
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-LENGTH: 3\r\n\r\nabcHTTP";
        for cut in 0..answer.len() - 4 {
            assert_eq!(whole(&answer[..cut]).unwrap(), None, "{cut}");
        }
        assert_eq!(whole(answer).unwrap(), Some(answer.len() - 4));
        assert_eq!(whole(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), Some(27));
    }

    #[test]
    fn a_refusal_is_an_error_with_its_reason() {
        let error = whole(b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nfull").unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        assert!(whole(&vec![b'x'; ANSWER + 1]).is_err());
    }
}
