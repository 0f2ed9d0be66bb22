#include "common/id/id.h"

#include <openssl/evp.h>

#include <utility>

namespace tandem::id {
namespace {

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";

std::string Base32(std::string_view bytes, size_t characters) {
  std::string text;
  text.reserve(characters);
  uint32_t bits = 0;
  int available = 0;
  size_t at = 0;
  while (text.size() < characters) {
    if (available < 5) {
      bits = (bits << 8) | static_cast<unsigned char>(bytes[at++]);
      available += 8;
    }
    available -= 5;
    text.push_back(kAlphabet[(bits >> available) & 31]);
  }
  return text;
}

}  // namespace

std::string Hash(std::initializer_list<std::string_view> parts) {
  std::string input;
  for (const std::string_view part : parts) {
    input.append(std::to_string(part.size())).append(":").append(part);
  }
  std::string digest(32, '\0');
  // The one-shot form fails only when the library lacks SHA-256, which no supported build does.
  // Fetched once: EVP_sha256() would be looked up at every call.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_Digest(input.data(), input.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             sha256, nullptr);
  return digest;
}

std::string Derive(std::string_view prefix, std::initializer_list<std::string_view> parts) {
  std::string id(prefix);
  return id.append("_").append(Base32(Hash(parts), 26));
}

bool IsWellFormed(std::string_view text) {
  if (text.empty() || text.size() > 128) return false;
  for (const char c : text) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '.' || c == ':' || c == '-';
    if (!good) return false;
  }
  return true;
}

Ids::Ids(std::string service, std::string cause)
    : service_(std::move(service)), cause_(std::move(cause)) {}

std::string Ids::Next(std::string_view prefix) {
  return Derive(prefix, {service_, cause_, std::to_string(ordinal_++)});
}

}  // namespace tandem::id
