// Package opentofu has the tests that plan and apply the Terraform modules with
// OpenTofu. It is a module of its own, so that Rota does not depend on OpenTofu.
//
// Terraform's own AWS provider could not be had. In its place stands one that
// keeps nothing and calls nothing: schemas.hcl has what its documentation says
// of the kinds that the modules use, their arguments with types, and what AWS
// would say of each. So a misspelt argument, a wrong type, a missing one and a
// broken expression are found; whether AWS takes it all is not.
package opentofu
