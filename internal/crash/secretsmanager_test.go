package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// secretsManager is the keeper whose store is Secrets Manager. The journal is in a
// data folder if a process dies, else in memory.
type secretsManager struct {
	dataFolder
	iam   *iam
	extra map[string]any // what else is in the secret

	memory sync.Mutex
	kept   rotation.Journal // the one in memory
}

// smFields are the secret's fields.
var smFields = map[string]string{"access-id": rota.FieldAccessKeyID, "secret-key": rota.FieldSecretAccessKey}

func (m *secretsManager) store(*process) (rota.Store, error) {
	fields, err := rota.ParseFieldMap(smFields, nil)
	if err != nil {
		return nil, err
	}
	return m.iam.conn.SecretsManager(aws.SecretsManagerConfig{Name: secretName, Fields: fields}), nil
}

func (m *secretsManager) journal() (rotation.Journal, error) {
	if m.w.plan.kind == dies {
		db, err := m.open()
		if err != nil {
			return nil, err
		}
		return db.Journal(), nil
	}
	m.memory.Lock()
	defer m.memory.Unlock()
	if m.kept == nil {
		m.kept = memory.NewJournal(memory.Options{Now: m.w.clock})
	}
	return m.kept, nil
}

func (m *secretsManager) lose() {
	m.dataFolder.lose()
	m.memory.Lock()
	defer m.memory.Unlock()
	m.kept = nil
}

func (m *secretsManager) holds() (held, error) {
	h := held{labels: map[rota.Label]string{}, versions: map[string]rota.Credential{}, foreign: map[string]bool{}}
	labels := m.iam.server.Labels(secretName)
	for l, version := range labels {
		h.labels[rota.Label(l)] = version
		h.foreign[version] = !strings.HasPrefix(version, "rota-") && labels["ROTA_ADOPTED"] != version
		if _, known := h.versions[version]; known {
			continue
		}
		text, ok := m.iam.server.SecretText(secretName, version)
		if !ok {
			continue
		}
		fields := map[string]any{}
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			return held{}, err
		}
		id, _ := fields["access-id"].(string)
		secret, _ := fields["secret-key"].(string)
		switch {
		case (id == "") != (secret == ""):
			return held{}, errors.New("a version has half a key")
		case id != "": // an entry may begin without
			h.versions[version] = accessKey(id, secret)
		}
		delete(fields, "access-id")
		delete(fields, "secret-key")
		if m.extra != nil && labels["AWSCURRENT"] == version && fmt.Sprint(fields) != fmt.Sprint(m.extra) {
			return held{}, fmt.Errorf("the secret's other fields are %v", fields)
		}
	}
	return h, nil
}
