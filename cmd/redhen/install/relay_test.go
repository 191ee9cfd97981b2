package install

import (
	"errors"
	"strings"
	"testing"
)

// Rule: a relay is installed for circles that are named, keeps its settings over an
// update and its key over an uninstall, and a box beside it is not touched.
func TestInstallARelay(t *testing.T) {
	m := newMachine(t, true)
	if err := InstallRelay(t.Context(), m.Config, Relay{}); !errors.Is(err, ErrNobody) || !m.gone(RelayUnit) || !m.gone(Program) || len(m.ran) != 0 {
		t.Fatalf("for nobody: %v, or something was changed", err)
	}
	one, two := strings.Repeat("ab", 16), strings.Repeat("cd", 16)
	m.P2P = 4800
	if err := InstallRelay(t.Context(), m.Config, Relay{Allow: []string{one, two}, DailyGB: 20}); err != nil {
		t.Fatal(err)
	}
	m.P2P = 0
	if err := InstallRelay(t.Context(), m.Config, Relay{Metrics: "127.0.0.1:9100"}); err != nil {
		t.Fatal(err)
	}
	got := m.read(RelaySettings)
	for _, line := range []string{"REDHEN_ALLOW=" + one + "," + two, "REDHEN_P2P=4800", "REDHEN_DAILY_GB=20", "REDHEN_METRICS=127.0.0.1:9100"} {
		if !strings.Contains(got, "\n"+line+"\n") {
			t.Errorf("%s is not in\n%s", line, got)
		}
	}
	want := "systemctl daemon-reload; systemctl enable redhen-relay.service; systemctl restart redhen-relay.service"
	if all := strings.Join(m.ran, "; "); !strings.HasSuffix(all, want) {
		t.Errorf("ran %s", all)
	}
	m.write(Unit, "a box")
	m.write(RelayState+"/box.key", "the key")
	if err := UninstallRelay(t.Context(), m.Config); err != nil {
		t.Fatal(err)
	}
	if !m.gone(RelayUnit) || !m.gone(RelaySettings) || m.gone(Program) || m.gone(Unit) || m.read(RelayState+"/box.key") != "the key" {
		t.Error("too much or too little was taken away")
	}
	if err := UninstallRelay(t.Context(), m.Config); !errors.Is(err, ErrAbsent) {
		t.Errorf("taken away twice: %v", err)
	}
}

func TestARelayWhereItCannotBe(t *testing.T) {
	r := Relay{Allow: []string{strings.Repeat("ab", 16)}}
	m := newMachine(t, true)
	m.UID = 1000
	if err := InstallRelay(t.Context(), m.Config, r); !errors.Is(err, ErrNotRoot) {
		t.Errorf("not root: %v", err)
	}
	m = newMachine(t, false)
	if err := InstallRelay(t.Context(), m.Config, r); !errors.Is(err, ErrNoSystemd) || !m.gone(Program) {
		t.Errorf("no systemd: %v", err)
	}
}

// The unit of a relay keeps the machine as that of a box does, line for line, and starts
// what is allowed in the settings.
func TestTheRelaysUnitIsHardened(t *testing.T) {
	hard := func(u string) string { return u[strings.Index(u, "# Not root"):] }
	if hard(relayUnit) != hard(unit) {
		t.Error("the units differ in what they forbid")
	}
	for _, line := range []string{
		"User=redhen", "StateDirectory=redhen-relay", "StateDirectoryMode=0700", "EnvironmentFile=/etc/default/redhen-relay",
		"ExecStart=@PROGRAM@ relay --state /var/lib/redhen-relay --allow ${REDHEN_ALLOW} --p2p ${REDHEN_P2P} --daily-gb ${REDHEN_DAILY_GB} --metrics ${REDHEN_METRICS}",
	} {
		if !strings.Contains(relayUnit, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}
