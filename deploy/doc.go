// Package deploy has what it takes to deploy Rota: Terraform modules,
// CloudFormation templates, a dashboard and alert rules. Its tests validate
// them and, as far as a fake AWS allows, deploy them.
package deploy
