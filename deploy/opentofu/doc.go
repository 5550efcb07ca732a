// Package opentofu has the tests that plan and apply the Terraform modules with
// OpenTofu. It is a module of its own, so that Rota doesn't depend on OpenTofu.
//
// Terraform's own AWS provider isn't available here. A stand-in that stores
// nothing and calls nothing takes its place: schemas.hcl describes, following
// the provider's documentation, the resources that the modules use, their typed
// arguments, and what AWS would return for each. So misspelled arguments, wrong
// types, missing arguments and broken expressions are found. Whether AWS
// accepts them is not.
package opentofu
