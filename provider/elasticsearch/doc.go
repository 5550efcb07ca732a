// Package elasticsearch rotates API keys of Elasticsearch and OpenSearch.
//
// Both answer a key's value once, when it's created, and take it in the same header.
// The requests differ, and are in product.go.
package elasticsearch
