package placement

import (
	"fmt"
	"testing"

	"redhen/provision/ident"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		rs   []Replica
		ok   bool
	}{
		{"none", nil, true},
		{"two voters", []Replica{{1, "a", Voter}, {4, "b", Voter}}, true},
		{"voter and learner", []Replica{{1, "a", Voter}, {2, "b", Learner}}, true},
		{"no voter", []Replica{{1, "a", Learner}}, false},
		{"number zero", []Replica{{0, "a", Voter}}, false},
		{"number not yet drawn", []Replica{{5, "a", Voter}}, false},
		{"number twice", []Replica{{1, "a", Voter}, {1, "b", Voter}}, false},
		{"box twice", []Replica{{1, "a", Voter}, {2, "a", Learner}}, false},
		{"no box", []Replica{{1, "", Voter}}, false},
		{"no role", []Replica{{1, "a", Voter}, {2, "b", 0}}, false},
	} {
		if err := Check(tt.rs, 5); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	var many []Replica
	for i := range MaxReplicas + 1 {
		many = append(many, Replica{ident.ReplicaID(i + 1), ident.BoxID(fmt.Sprint(i)), Voter})
	}
	if Check(many, 1000) == nil {
		t.Error("too many replicas accepted")
	}
}
