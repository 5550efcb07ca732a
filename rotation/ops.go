package rotation

// The operations in an audit entry's Step, besides the steps of a rotation:
// what people and programs do with Rota and its secrets. Requests to the
// daemon's own pages are entered as method and path, such as "GET /metrics".
const (
	// On secrets.
	OpStatus         = "status"
	OpVersions       = "versions"
	OpCurrent        = "current" // which version is current
	OpGet            = "get"     // read a value
	OpPut            = "put"     // write a value
	OpCreateSecret   = "create secret"
	OpUpdate         = "update" // change a description or a key
	OpLabel          = "label"
	OpTag            = "tag"
	OpUntag          = "untag"
	OpPolicy         = "policy"
	OpRemove         = "remove"
	OpRestore        = "restore" // a removed secret, or the whole store from a backup
	OpRotate         = "rotate"
	OpCancelRotation = "cancel rotation"
	OpRotateSecret   = "RotateSecret" // Secrets Manager's request, until a turn takes it
	OpConfigure      = "configure"    // run with a new rota.yaml
	OpList           = "list"
	OpPlan           = "plan"
	OpCheck          = "check"
	OpRun            = "run"
	OpAlert          = "alert"
	OpHolders        = "holders"        // who holds which version
	OpReport         = "report holder"  // an instance says what it holds
	OpForget         = "forget holders" // a person knows that they're gone

	// On Rota's own store.
	OpAudit           = "audit" // read the audit
	OpVerify          = "verify"
	OpAuditBroken     = "audit broken"      // Rota found the audit's end changed by someone else
	OpAcknowledge     = "acknowledge break" // a person knows of that, and the audit goes on from there
	OpWritable        = "writable again"
	OpBackup          = "backup"
	OpRotateMasterKey = "rotate master key"

	// On access.
	OpAuthenticate     = "authenticate"
	OpListPrincipals   = "list principals"
	OpShowPrincipal    = "show principal"
	OpCreatePrincipal  = "create principal"
	OpEnablePrincipal  = "enable principal"
	OpDisablePrincipal = "disable principal"
	OpDeletePrincipal  = "delete principal"
	OpGrant            = "grant"
	OpRevoke           = "revoke"
	OpCreateKey        = "create key"
	OpEnableKey        = "enable key"
	OpDisableKey       = "disable key"
	OpDeleteKey        = "delete key"
)
