//! `Idempotency-Key`: the same request twice is one change.

use axum::http::StatusCode;

use crate::site::Site;

#[tokio::test]
async fn the_same_key_and_body_get_the_first_answer_again() {
    let (site, tenant, owner) = Site::owned().await;
    site.box_of(&owner).await;
    let key = [("idempotency-key", "one")];
    let body = r#"{"name":"box-0002","kind":"box"}"#;
    let post = async |body: &str, token: &str| {
        site.request("POST", "/api/v1/devices", token, body, &key).await
    };
    let first = post(body, &owner).await;
    let second = post(body, &owner).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert_eq!((second.status, &second.text), (first.status, &first.text));
    let other = post(r#"{"name":"box-0003","kind":"box"}"#, &owner).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Another caller's key is another key: the name is taken, and no token is shown.
    let engineer = site.person(tenant, "engineer").await;
    let theirs = post(body, &engineer).await;
    assert_eq!(theirs.status, StatusCode::CONFLICT, "{}", theirs.text);
    let devices = site.get("/api/v1/devices", &owner).await.json();
    assert_eq!(devices["items"].as_array().unwrap().len(), 2);
}
