#![allow(clippy::unwrap_used, reason = "these are tests")]

use loop_api::run::SecretReference;

use super::*;

fn whose() -> Whose {
    Whose { namespace: "team".into(), name: "run".into(), uid: "0198".into(), ..Whose::default() }
}

#[tokio::test]
async fn files_go_there_and_back_whole_and_no_larger_than_is_wanted() {
    let bucket = Bucket::in_memory(&whose());
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let bytes: Vec<u8> = (0..PART as usize * 2 + 17).map(|number| (number % 251) as u8).collect();
    fs::write(&from, &bytes).unwrap();
    bucket.upload("c/one", &from, SHORT).await.unwrap();
    bucket.put("c/two", b"2".to_vec()).await.unwrap();
    assert_eq!(bucket.list("c").await.unwrap(), ["c/one", "c/two"]);
    assert!(bucket.download("c/one", &to, bytes.len() as u64, SHORT).await.unwrap());
    assert!(fs::read(&to).unwrap() == bytes);
    let refused = bucket.download("c/one", &to, 100, SHORT).await.unwrap_err();
    assert_eq!(
        refused,
        "the bucket loops cannot be read, c/one has more than 100 bytes; look at spec.checkpoint.s3 and the Secret that it \
         names"
    );
    bucket.remove("c/one").await.unwrap();
    bucket.remove("c/one").await.unwrap();
    assert!(!bucket.download("c/one", &to, 100, SHORT).await.unwrap());
    assert_eq!(bucket.address("c/two"), "s3://loops/a/b/team/run/0198/c/two");
}

#[tokio::test]
async fn a_secret_is_read_anew_for_each_use_and_what_it_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = S3Bucket {
        bucket: "loops".into(),
        secret_ref: Some(SecretReference { name: "keys".into() }),
        ..S3Bucket::default()
    };
    let bucket = Bucket::new(&wanted, "spec.artifacts.s3", &folder.path().to_string_lossy(), &whose());
    let refused = bucket.put("x", Vec::new()).await.unwrap_err();
    assert!(
        refused.contains("the Secret has no key AWS_ACCESS_KEY_ID; look at spec.artifacts.s3"),
        "{refused}"
    );
    for (key, text) in [("AWS_ACCESS_KEY_ID", "a\n"), ("AWS_SECRET_ACCESS_KEY", "b")] {
        assert!(bucket.store().is_err());
        fs::write(folder.path().join(key), text).unwrap();
    }
    assert!(bucket.store().is_ok());
    fs::write(folder.path().join("ca.crt"), "nothing").unwrap();
    let refused = bucket.put("x", Vec::new()).await.unwrap_err();
    assert!(refused.contains("ca.crt holds no certificate"), "{refused}");
}

#[test]
fn what_a_service_says_is_told_without_its_markup() {
    let said = "Error performing PUT http://store/loops/a in 2ms - Server returned non-2xx status code: 403 Forbidden: \
                <Error><Code>InvalidAccessKeyId</Code><Message>It is not known.</Message></Error>";
    assert_eq!(words(said), "InvalidAccessKeyId: It is not known");
    let busy = said.replace("403 Forbidden", "503 Service Unavailable").replace("InvalidAccessKeyId", "Busy");
    assert_eq!(words(busy), "Busy: It is not known (HTTP 503)");
    assert_eq!(words("<Error><Code>NoSuchBucket</Code></Error>"), "NoSuchBucket");
    let said = "Generic S3 error: Error performing PUT http://s/a in 2s, after 8 retries, max_retries: 8, retry_timeout: 25s  - \
                HTTP error: Connection refused (os error 111)";
    assert_eq!(words(said), "HTTP error: Connection refused (os error 111)");
    assert_eq!(words("x".repeat(1000)).len(), MOST_WORDS);
}
