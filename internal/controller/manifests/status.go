package manifests

import "strings"

func singular(kind string) string { return strings.ToLower(kind) }

func text(about string) object { return object{"type": "string", "description": about} }

func date(about string) object {
	return object{"type": "string", "format": "date-time", "description": about}
}

// conditions are those of every resource, in the form that kubectl wait knows.
func conditions(about string) object {
	return object{
		"type": "array", "description": about, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{"type"},
		"items": object{
			"type": "object", "required": []any{"type", "status", "lastTransitionTime", "reason", "message"},
			"properties": object{
				"type": object{"type": "string"}, "status": object{"type": "string", "enum": []any{"True", "False", "Unknown"}},
				"reason": object{"type": "string"}, "message": object{"type": "string"},
				"lastTransitionTime": object{"type": "string", "format": "date-time"},
				"observedGeneration": object{"type": "integer", "format": "int64"},
			},
		},
	}
}

func secretStatus() object {
	return object{"type": "object", "description": "What Rota has done. Only Rota writes it.", "properties": object{
		"observedGeneration": object{"type": "integer", "format": "int64", "description": "The generation that the conditions are about."},
		"conditions":         conditions("Ready, Rotating and Held."),
		"state":              text("The state in one word: Ready, Rotating, Held, Failing, Paused, Invalid or Waiting."),
		"why":                text("Why it's in this state."),
		"next":               text("The next step, and when."),
		"requested":          text("The value of the annotation rota.dev/rotate that a rotation was last begun for."),
		"version":            text("The id of the current version."),
		"credential":         text("The current credential's public name at its issuer."),
		"rotatedAt":          date("Since when the current credential exists."),
		"rotateAt":           date("When the next rotation is due by policy."),
		"expiresAt":          date("When the current credential expires."),
		"lastValid": object{
			"type": "object", "description": "The last valid spec, which is in force while the current one is invalid.",
			"properties": object{
				"generation": object{"type": "integer", "format": "int64"},
				"spec":       object{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
			},
		},
	}}
}

func connectionStatus() object {
	return object{"type": "object", "description": "What Rota makes of it. Only Rota writes it.", "properties": object{
		"observedGeneration": object{"type": "integer", "format": "int64", "description": "The generation that the conditions are about."},
		"conditions":         conditions("Ready: whether RotatingSecrets can use it."),
		"system":             text("The kind of system that it logs in to."),
		"why":                text("What's wrong with it."),
	}}
}

func column(name, kind, path, about string) object {
	return object{"name": name, "type": kind, "jsonPath": path, "description": about}
}

func secretColumns() []any {
	return []any{
		column("State", "string", ".status.state", "The state in one word."),
		column("Rotated", "date", ".status.rotatedAt", "How old the current credential is."),
		column("Next", "string", ".status.next", "The next step, and when."),
		column("Why", "string", ".status.why", "Why it's in this state."),
		column("Age", "date", ".metadata.creationTimestamp", "How old the resource is."),
	}
}

func connectionColumns() []any {
	return []any{
		column("Ready", "string", `.status.conditions[?(@.type=="Ready")].status`, "Whether RotatingSecrets can use it."),
		column("System", "string", ".status.system", "The kind of system that it logs in to."),
		column("Why", "string", ".status.why", "What's wrong with it."),
		column("Age", "date", ".metadata.creationTimestamp", "How old the resource is."),
	}
}

// selector is that of namespaces, as in Kubernetes' own resources.
func selector() object {
	return object{
		"type": "object", "x-kubernetes-map-type": "atomic",
		"description": "The labels of the namespaces whose RotatingSecrets may use this connection, in addition to namespaces. {} selects all of them.",
		"properties": object{
			"matchLabels": object{"type": "object", "additionalProperties": object{"type": "string"}},
			"matchExpressions": object{"type": "array", "maxItems": maxItems, "items": object{
				"type": "object", "required": []any{"key", "operator"},
				"properties": object{
					"key":      object{"type": "string"},
					"operator": object{"type": "string", "enum": []any{"In", "NotIn", "Exists", "DoesNotExist"}},
					"values":   object{"type": "array", "maxItems": maxItems, "items": object{"type": "string"}},
				},
			}},
		},
	}
}
