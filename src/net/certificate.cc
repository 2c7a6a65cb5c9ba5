#include "net/certificate.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <string_view>

#include "core/check.h"
#include "core/error.h"
#include "net/http_client.h"

namespace sevenfold::net {
namespace {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* pointer) const {
        Free(pointer);
    }
};
using CurlHandle = std::unique_ptr<CURL, Freed<curl_easy_cleanup>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

Certificate parse(std::string_view pem) {
    Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    CHECK(bio);
    return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

Time expiry(const X509* certificate) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1)
        throw Error(ErrorKind::network, "the certificate has no valid end");
    return {.seconds = static_cast<int64_t>(::timegm(&parts))};
}

}  // namespace

CertificateFacts server_certificate(const std::string& url, const std::string& ca_file,
                                    std::chrono::nanoseconds patience) {
    HttpClient started;  // libcurl is ready
    CurlHandle curl(curl_easy_init());
    CHECK(curl != nullptr);
    auto set = [&](CURLoption option, auto value) {
        CHECK(curl_easy_setopt(curl.get(), option, value) == CURLE_OK);
    };
    char said[CURL_ERROR_SIZE] = {};
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_CONNECT_ONLY, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_ERRORBUFFER, said);
    set(CURLOPT_CERTINFO, 1L);
    set(CURLOPT_TIMEOUT_MS,
        static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(patience).count()));
    if (!ca_file.empty()) set(CURLOPT_CAINFO, ca_file.c_str());
    CertificateFacts facts;
    CURLcode code = curl_easy_perform(curl.get());
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        facts.problem = said;
        set(CURLOPT_SSL_VERIFYPEER, 0L);
        set(CURLOPT_SSL_VERIFYHOST, 0L);
        code = curl_easy_perform(curl.get());
    }
    if (code != CURLE_OK)
        throw Error(code == CURLE_OPERATION_TIMEDOUT ? ErrorKind::timeout : ErrorKind::network,
                    said[0] != 0 ? said : curl_easy_strerror(code));
    curl_certinfo* chain = nullptr;
    curl_easy_getinfo(curl.get(), CURLINFO_CERTINFO, &chain);
    bool first = true;
    for (int i = 0; chain != nullptr && i < chain->num_of_certs; ++i)
        for (const curl_slist* line = chain->certinfo[i]; line != nullptr; line = line->next) {
            std::string_view text = line->data;
            if (!text.starts_with("Cert:")) continue;
            Certificate certificate = parse(text.substr(5));
            if (!certificate) continue;
            Time end = expiry(certificate.get());
            if (first) {
                char name[256] = {};
                X509_NAME_oneline(X509_get_subject_name(certificate.get()), name, sizeof name);
                facts.subject = name;
            }
            if (first || end < facts.expires) facts.expires = end;
            first = false;
        }
    if (first) throw Error(ErrorKind::network, "the server shows no certificate");
    return facts;
}

}  // namespace sevenfold::net
