//! What a browser does when `drg login` opens it: the login page of Keycloak, its form, and the way back to `drg`.

use regex::Regex;
use reqwest::{Client, Response, header, redirect::Policy};

use crate::support;

/// Logs a user in at the address that `drg` has printed; what `drg` answers the browser.
pub async fn log_in(url: &str, user: &str) -> String {
    support::http();
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let page = client.get(url).send().await.unwrap();
    assert_eq!(page.status(), 200, "{url}");
    let cookies = cookies(&page);
    let page = page.text().await.unwrap();
    let form = Regex::new(r#"<form[^>]* action="([^"]+)""#).unwrap();
    let action = form.captures(&page).unwrap_or_else(|| panic!("no form: {page}"))[1].replace("&amp;", "&");
    let password = format!("{user}-pw");
    let filled = client
        .post(action)
        .header(header::COOKIE, cookies)
        .form(&[("username", user), ("password", &password)])
        .send()
        .await
        .unwrap();
    assert_eq!(filled.status(), 302, "{:?}", filled.text().await);
    let back = filled.headers()[header::LOCATION].to_str().unwrap().to_owned();
    client.get(back).send().await.unwrap().text().await.unwrap()
}

/// The cookies of an answer, as they are sent back.
fn cookies(answer: &Response) -> String {
    let set = answer.headers().get_all(header::SET_COOKIE).iter();
    let pairs = set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    pairs.collect::<Vec<_>>().join("; ")
}
