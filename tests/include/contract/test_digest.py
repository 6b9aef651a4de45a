from include.contract.digest import digest_of


def test_a_digest_is_the_sha_256_of_the_bytes() -> None:
    # The digest of no bytes is published with the algorithm: FIPS 180-4.
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
