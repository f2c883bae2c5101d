//! The status page: what a person sees at `/` who has nothing but a browser.
//!
//! Takes the path of the metrics; gives static files that ask this agent's own API. Nothing that
//! an observed process chose is ever put into them here: the browser shows that as text.

use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The files beside the page, by path.
const FILES: [(&str, &str, &str); 7] = [
    ("/page/page.css", CSS, include_str!("page.css")),
    ("/page/page.js", SCRIPT, include_str!("page.js")),
    ("/page/sections.js", SCRIPT, include_str!("sections.js")),
    ("/page/agent.js", SCRIPT, include_str!("agent.js")),
    ("/page/findings.js", SCRIPT, include_str!("findings.js")),
    ("/page/dom.js", SCRIPT, include_str!("dom.js")),
    ("/page/icon.svg", SVG, include_str!("icon.svg")),
];

/// What a browser may do with any of them: nothing that does not come from here.
const CONFINED: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
];

/// The page with what only this agent knows.
#[derive(Debug)]
pub(super) struct Page(Bytes);

impl Page {
    /// The page of an agent with its metrics there. Every link is relative, so that it leads
    /// there behind a proxy with a prefix too.
    pub(super) fn new(telemetry_path: &str) -> Self {
        let text = include_str!("page.html");
        let text = text.replace("{version}", env!("CARGO_PKG_VERSION"));
        let text = text.replace(
            "{metrics}",
            &format!("./{}", escaped(telemetry_path.trim_start_matches('/'))),
        );
        Self(text.into())
    }

    /// The type and content of a file.
    pub(super) fn file(&self, path: &str) -> Option<(&'static str, Bytes)> {
        if path == "/" {
            return Some((HTML, self.0.clone()));
        }
        let file = FILES.into_iter().find(|(name, ..)| *name == path);
        file.map(|(_, kind, text)| (kind, Bytes::from_static(text.as_bytes())))
    }
}

/// The same answer, with what a browser may do with it.
pub(super) fn confined<Body>(mut answer: Response<Body>) -> Response<Body> {
    for (name, value) in CONFINED {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// As text or in an attribute of HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{FILES, Page};

    #[test]
    fn every_file_that_a_file_asks_for_is_there() {
        let page = Page::new("/metrics");
        let text = String::from_utf8(page.file("/").unwrap().1.to_vec()).unwrap();
        let mut asked = 0;
        let of_page = [("\"page/", "/page/"), ("from \"./", "/page/")];
        let texts = FILES.iter().map(|(.., text)| *text).chain([&*text]);
        for text in texts {
            for (before, folder) in of_page {
                for (start, _) in text.match_indices(before) {
                    let rest = &text[start + before.len()..];
                    let name = rest.split('"').next().unwrap();
                    assert!(page.file(&format!("{folder}{name}")).is_some(), "{name}");
                    asked += 1;
                }
            }
        }
        assert!(asked >= FILES.len(), "{asked}");
    }

    #[test]
    fn nothing_in_the_page_needs_a_policy_that_is_weaker() {
        let page = Page::new("/metrics");
        let text = String::from_utf8(page.file("/").unwrap().1.to_vec()).unwrap();
        for word in ["style=", "<style", " onclick", "http://", "https://", "//"] {
            assert!(!text.contains(word), "{word}");
        }
        for (name, _, text) in FILES {
            let words = [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ];
            for word in words {
                assert!(!text.contains(word), "{word} in {name}");
            }
        }
    }

    #[test]
    fn a_path_is_no_markup() {
        let page = Page::new("/a:\"><script>&");
        let text = String::from_utf8(page.file("/").unwrap().1.to_vec()).unwrap();
        assert!(
            text.contains("href=\"./a:&quot;&gt;&lt;script&gt;&amp;\""),
            "{text}"
        );
    }
}
