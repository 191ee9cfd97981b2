package install

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a folder that looks like a Linux machine with systemd.
type machine struct {
	Config
	t    *testing.T
	ran  []string
	fail string // a program that is not there
	out  bytes.Buffer
}

func newMachine(t *testing.T, runs bool) *machine {
	t.Helper()
	m := &machine{t: t}
	m.Root, m.Out = t.TempDir(), &m.out
	m.Run = func(_ context.Context, name string, args ...string) error {
		m.ran = append(m.ran, strings.TrimSpace(name+" "+strings.Join(args, " ")))
		if name == m.fail {
			return errors.New("not found")
		}
		return nil
	}
	m.write("/usr/lib/systemd/systemd", "")
	if runs {
		m.write("/run/systemd/system/x", "")
	}
	m.From = filepath.Join(m.Root, "downloaded")
	m.write("/downloaded", "a program")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.HTTP = l.Addr().String()
	l.Close()
	return m
}

func (m *machine) write(path, content string) {
	m.t.Helper()
	full := filepath.Join(m.Root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(path string) string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.Root, path))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

func (m *machine) gone(path string) bool {
	_, err := os.Lstat(filepath.Join(m.Root, path))
	return errors.Is(err, fs.ErrNotExist)
}

func TestInstallAndUninstall(t *testing.T) {
	m := newMachine(t, true)
	if err := Install(t.Context(), m.Config); err != nil {
		t.Fatal(err)
	}
	if got := m.read(Program); got != "a program" {
		t.Errorf("program: %q", got)
	}
	if st, err := os.Stat(filepath.Join(m.Root, Program)); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("program has mode %v, %v", st.Mode(), err)
	}
	if got := m.read(Settings); !strings.Contains(got, "REDHEN_HTTP="+m.HTTP+"\n") || !strings.Contains(got, "REDHEN_P2P=4717\n") {
		t.Errorf("settings: %s", got)
	}
	want := []string{"systemd-sysusers --root=" + m.Root + " " + Sysusers, "systemctl daemon-reload", "systemctl enable redhen.service", "systemctl restart redhen.service"}
	if got := strings.Join(m.ran, "; "); got != strings.Join(want, "; ") {
		t.Errorf("ran %s", got)
	}
	m.write(State+"/box.key", "the key")
	m.ran = nil
	if err := Uninstall(t.Context(), m.Config); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{Program, Unit, Sysusers, Settings} {
		if !m.gone(p) {
			t.Errorf("%s is left", p)
		}
	}
	if got := m.read(State + "/box.key"); got != "the key" {
		t.Errorf("what the box keeps: %q", got)
	}
	if got := strings.Join(m.ran, "; "); got != "systemctl disable --now redhen.service; systemctl daemon-reload" {
		t.Errorf("ran %s", got)
	}
	if err := Uninstall(t.Context(), m.Config); !errors.Is(err, ErrAbsent) {
		t.Errorf("taken away twice: %v", err)
	}
}

// An update keeps the settings that somebody made, but for those that are named now.
func TestInstallAgainKeepsSettings(t *testing.T) {
	m := newMachine(t, false)
	m.write(Settings, "# mine\nREDHEN_HTTP=:8080\nGOGC=50")
	m.HTTP, m.P2P = "", 4800
	for range 2 {
		if err := Install(t.Context(), m.Config); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.read(Settings); got != "# mine\nREDHEN_HTTP=:8080\nGOGC=50\nREDHEN_P2P=4800\n" {
		t.Errorf("got %q", got)
	}
	m.write("/downloaded", "a newer program")
	if err := Install(t.Context(), m.Config); err != nil || m.read(Program) != "a newer program" {
		t.Errorf("program %q, %v", m.read(Program), err)
	}
	m.From = filepath.Join(m.Root, Program) // the installed one installs itself
	if err := Install(t.Context(), m.Config); err != nil || m.read(Program) != "a newer program" {
		t.Errorf("program %q, %v", m.read(Program), err)
	}
}

// Where systemd does not run, the unit is linked to start with the machine.
func TestInstallInAChroot(t *testing.T) {
	m := newMachine(t, false)
	if err := Install(t.Context(), m.Config); err != nil {
		t.Fatal(err)
	}
	link := "/etc/systemd/system/multi-user.target.wants/redhen.service"
	if to, err := os.Readlink(filepath.Join(m.Root, link)); err != nil || to != Unit {
		t.Errorf("link to %q, %v", to, err)
	}
	if len(m.ran) != 1 || !strings.Contains(m.out.String(), "systemd does not run here") {
		t.Errorf("ran %q, said %s", m.ran, m.out.String())
	}
	if err := Uninstall(t.Context(), m.Config); err != nil || !m.gone(link) {
		t.Errorf("the link is left, or %v", err)
	}
}

func TestNothingIsChangedWhereABoxCannotBe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		spoil func(*machine)
		want  error
	}{
		"not root":   {func(m *machine) { m.UID = 1000 }, ErrNotRoot},
		"no systemd": {func(m *machine) { os.Remove(filepath.Join(m.Root, "/usr/lib/systemd/systemd")) }, ErrNoSystemd},
		"a package":  {func(m *machine) { m.write(packaged, "") }, ErrPackaged},
		"port taken": {func(m *machine) { m.HTTP = taken.Addr().String() }, ErrPortTaken},
	} {
		m := newMachine(t, true)
		c.spoil(m)
		if err := Install(t.Context(), m.Config); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if !m.gone(Program) || !m.gone(Unit) || len(m.ran) != 0 {
			t.Errorf("%s: something was changed", name)
		}
	}
}

func TestAUserWithoutSysusers(t *testing.T) {
	m := newMachine(t, false)
	m.fail = "systemd-sysusers"
	if err := Install(t.Context(), m.Config); err == nil {
		t.Error("a user in another root was made here")
	}
	m.Root, m.ran = "", nil // only makeUser: nothing is written
	if err := m.makeUser(t.Context()); err != nil || len(m.ran) != 2 || !strings.HasPrefix(m.ran[1], "useradd --system") {
		t.Errorf("ran %q, %v", m.ran, err)
	}
}

// The unit is what keeps a fault in the box from the machine: these lines must stay.
func TestTheUnitIsHardened(t *testing.T) {
	for _, line := range []string{
		"User=redhen", "ProtectSystem=strict", "NoNewPrivileges=yes", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
		"AmbientCapabilities=CAP_NET_BIND_SERVICE", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
		"StateDirectory=redhen", "StateDirectoryMode=0700", "ProtectHome=yes", "PrivateDevices=yes",
		"ExecStart=@PROGRAM@ run --state /var/lib/redhen --http ${REDHEN_HTTP} --p2p ${REDHEN_P2P}",
	} {
		if !strings.Contains("\n"+unit, "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
}
