//! A panic of the host's own code within one sync of a server: that sync ends with a report, its slot and its file are free
//! again, and everybody else's syncs go on.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Options, init, new_operator_token, serve};
use conformance::{Panicking, built};
use warehouse::{DestinationUrl, OpenDestination};

/// Longer than anything that is waited for takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server in this process.
struct House {
    http: reqwest::Client,
    address: SocketAddr,
    token: String,
}

impl House {
    async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Value {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        let answer = request.bearer_auth(&self.token).body(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path} was answered {status}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn sync(&self, tenant: &str) -> Value {
        let started = self.send("POST", &format!("/v1/tenants/{tenant}/connections/c/start"), Vec::new()).await;
        let path = format!("/v1/tenants/{tenant}/syncs/{}", started["id"].as_str().unwrap());
        let begun = Instant::now();
        loop {
            let sync = self.send("GET", &path, Vec::new()).await;
            if sync["ended_at"].is_string() {
                return sync;
            }
            assert!(begun.elapsed() < PATIENCE, "the sync does not end: {sync}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The panic that is set for the syncs of the tenant `shop`.
static SHOP: LazyLock<Panicking> = LazyLock::new(|| Panicking::new(Arc::new(DestinationUrl::Null)));

fn panicking(url: DestinationUrl) -> Arc<dyn OpenDestination> {
    let is_the_shops = url.to_string().contains("/shop/");
    let url: Arc<dyn OpenDestination> = Arc::new(url);
    if is_the_shops { Arc::new(SHOP.with(url)) } else { url }
}

/// A server with one slot, two tenants and a connection of each.
async fn house(data: &Path, stop: oneshot::Receiver<()>) -> House {
    let key_file = data.join("key");
    init(data, &key_file).unwrap();
    let token = new_operator_token(data, &key_file, "of a test").await.unwrap();
    let options = Options {
        data: data.to_owned(),
        key_file,
        listen: "127.0.0.1:0".parse().unwrap(),
        syncs_at_once: 1,
        drain: Duration::ZERO,
        cache: None,
        compiler: None,
        audit_log: None,
        destinations: panicking,
    };
    let (say, listening) = oneshot::channel();
    let stopped = async { drop(stop.await) };
    tokio::spawn(async move { serve(options, |address| say.send(address).unwrap(), stopped).await.unwrap() });
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(sandbox::trusted_tls().unwrap())
        .no_proxy()
        .build()
        .unwrap();
    let house = House { http, address: listening.await.unwrap(), token };
    house.send("POST", "/v1/connectors", std::fs::read(built("operations")).unwrap()).await;
    for tenant in ["shop", "other"] {
        house.send("PUT", &format!("/v1/tenants/{tenant}"), b"{}".to_vec()).await;
        let connection = json!({"connector": "operations", "destination": "sqlite:w.db"}).to_string();
        house.send("PUT", &format!("/v1/tenants/{tenant}/connections/c"), connection.into_bytes()).await;
    }
    house
}

#[test]
fn a_panic_ends_one_sync_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let (_stop, stopped) = oneshot::channel();
        let house = house(&data, stopped).await;
        let mut call = 1;
        loop {
            SHOP.set(call);
            let sync = house.sync("shop").await;
            if SHOP.unset() {
                assert_eq!(sync["outcome"], "succeeded", "{sync}");
                break;
            }
            assert_eq!((&sync["outcome"], &sync["error_code"]), (&json!("failed"), &json!("host-bug")), "{sync}");
            // The only slot is free, and so is the file.
            for tenant in ["other", "shop"] {
                let sync = house.sync(tenant).await;
                assert_eq!(sync["outcome"], "succeeded", "after call {call}: {sync}");
            }
            call += 1;
        }
        assert!(call > 3, "a sync commits, finishes and tells its memory: {call}");
    });
}
