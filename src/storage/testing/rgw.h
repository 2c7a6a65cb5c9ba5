// A real S3 server (Ceph's gateway, in memory) on free loopback ports: tests/support/rgw.py.
#pragma once

#include <memory>
#include <string>

#include "os/child_process.h"
#include "storage/s3/s3_client.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {

class TestRgw {
  public:
    // Throws when the server's packages are missing or it does not start: a test that needs it must
    // fail then.
    TestRgw();
    ~TestRgw();

    uint16_t port() const { return port_; }
    // A new bucket's name.
    std::string make_bucket();
    // Of a client of that bucket, as its owner; `credentials` for somebody else.
    S3ClientOptions options(const std::string& bucket, uint16_t port = 0) const;
    // Credentials of another user, who may not do anything with our buckets.
    std::string other_user() const { return "file:" + (folder_ / "other"); }
    std::string owner() const { return "file:" + (folder_ / "owner"); }

  private:
    TestFolder folder_;
    std::unique_ptr<os::ChildProcess> server_;
    uint16_t port_ = 0;
    int buckets_ = 0;
};

// A request that S3Client has no call for, signed; returns the status.
int s3_request(const S3ClientOptions& options, const std::string& method, const std::string& key,
               const std::string& query = {}, const std::string& body = {});

}  // namespace sevenfold::storage
