// Package kms opens keys of key management services, which encrypt the store's
// master key: AWS KMS, Google Cloud KMS, Azure Key Vault, and the Transit engine
// of Vault and OpenBao. It stands apart from package store, so that nobody needs
// these services' clients who has a key file.
package kms
