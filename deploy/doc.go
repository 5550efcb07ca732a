// Package deploy holds what sets Rota up: Terraform modules, CloudFormation
// templates, a dashboard and alert rules. Its tests read, check and, as far as an
// imitation of AWS reaches, deploy them.
package deploy
