package vmtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redhen/images/bake"
	"redhen/images/card"
	"redhen/images/layout"
)

// updates are the update files of the tests, by name.
type updates struct {
	dir string
	t   *testing.T
}

// make makes one: number is after testNumber, program stands in for redhen.
func (u updates) make(name string, number uint64, program string, patience time.Duration) []byte {
	u.t.Helper()
	c := config(layout.AMD64, u.dir)
	c.Release, c.Number, c.Extra = name, testNumber+number, layout.PatienceLine(patience)
	copied := filepath.Join(u.dir, name+".tree")
	if out, err := exec.Command("cp", "-a", tree(u.t, layout.AMD64), copied).CombinedOutput(); err != nil {
		u.t.Fatalf("copy root: %v %s", err, out)
	}
	defer os.RemoveAll(copied)
	if program != "" {
		c.Program = filepath.Join(u.dir, program)
		build := exec.Command("go", "build", "-trimpath", "-o", c.Program, "./"+program)
		build.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+layout.AMD64.Arch(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			u.t.Fatalf("build %s: %v %s", program, err, out)
		}
	}
	root, file := filepath.Join(u.dir, name+".root"), filepath.Join(u.dir, name+".update")
	if err := bake.Root(u.t.Context(), c, copied, root); err != nil {
		u.t.Fatal(err)
	}
	if err := bake.Pack(u.t.Context(), c, root, file); err != nil {
		u.t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		u.t.Fatal(err)
	}
	return b
}

// send sends an update to the box, as its keeper.
func send(ctx context.Context, m *Machine, b []byte) (int, string, error) {
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, m.URL()+"/update", bytes.NewReader(b))
	if err != nil {
		return 0, "", err
	}
	req.SetBasicAuth("anna", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// starts counts the starts of a slot since the machine was switched on.
func starts(m *Machine, s layout.Slot) int {
	return strings.Count(m.Console(), fmt.Sprintf(", slot %s\r\n", s)) + strings.Count(m.Console(), fmt.Sprintf(", slot %s\n", s))
}

// until waits for something of a machine, patiently.
func until(t *testing.T, m *Machine, what string, wanted func() bool) {
	t.Helper()
	begin := time.Now()
	ctx, end := context.WithTimeout(t.Context(), 2*patience)
	defer end()
	if err := m.Until(ctx, wanted); err != nil {
		t.Fatalf("wait until %s: %v", what, err)
	}
	t.Logf("%s after %.1f s", what, time.Since(begin).Seconds())
}

// TestUpdates sends a box releases that crash, that are never healthy, that nobody
// signed, and a good one, and sees it on the right slot each time with all its files.
func TestUpdates(t *testing.T) {
	need(t, layout.AMD64, "all")
	u := updates{t: t, dir: t.TempDir()}
	c, m := claimed(t, Config{})
	write(t, m, "before.txt", "kept before the updates")

	good := u.make("good", 3, "", 10*time.Minute)
	refused(t, m, good)
	for i, bad := range []struct{ name, program string }{{"crashing", "crash"}, {"ill", "ill"}} {
		b := u.make(bad.name, uint64(i+1), bad.program, 20*time.Second)
		onA := starts(m, layout.A)
		installed(t, m, b)
		until(t, m, bad.name+": slot b is tried", func() bool { return starts(m, layout.B) == i+1 })
		until(t, m, bad.name+": slot a is back", func() bool { return starts(m, layout.A) == onA+1 })
		answers(t, m, "/healthz", "ok")
		has(t, m, "before.txt", "kept before the updates")
		if got := starts(m, layout.B); got != i+1 {
			t.Errorf("%s: slot b was started %d times in all, want %d", bad.name, got, i+1)
		}
	}

	write(t, m, "between.txt", "kept between the updates")
	tried := starts(m, layout.B)
	installed(t, m, good)
	until(t, m, "good: slot b is tried", func() bool { return starts(m, layout.B) == tried+1 })
	answers(t, m, "/healthz", "ok")
	code, text, err := send(t.Context(), m, good)
	if err != nil || code != http.StatusUnprocessableEntity || !strings.Contains(text, "runs this release already") {
		t.Errorf("the same again: %d %s, %v", code, text, err)
	}
	until(t, m, "good: it is confirmed", func() bool { return confirmed(t, c.Disk) })
	m.Cut()
	m = start(t, c)
	answers(t, m, "/healthz", "ok")
	if starts(m, layout.B) != 1 || starts(m, layout.A) != 0 {
		t.Errorf("after a power cut slot a was started %d times, b %d", starts(m, layout.A), starts(m, layout.B))
	}
	if strings.Contains(m.Console(), "on trial") {
		t.Error("the good release was not confirmed")
	}
	has(t, m, "before.txt", "kept before the updates")
	has(t, m, "between.txt", "kept between the updates")
}

// confirmed looks on the card whether slot b starts from now on.
func confirmed(t *testing.T, disk string) bool {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fat, err := card.OpenFAT(f)
	if err != nil {
		return false // it is being written
	}
	entry, err := fat.Get(layout.EntriesDir + "/redhen-b.conf")
	return err == nil && strings.Contains(string(entry), "redhen.slot=b")
}

// installed sends an update that is taken.
func installed(t *testing.T, m *Machine, b []byte) {
	t.Helper()
	begin := time.Now()
	code, text, err := send(t.Context(), m, b)
	if err != nil || code != http.StatusOK {
		t.Fatalf("install: %d %s, %v", code, text, err)
	}
	t.Logf("%d MiB installed in %.1f s", len(b)>>20, time.Since(begin).Seconds())
}

// refused sends what must not be taken.
func refused(t *testing.T, m *Machine, good []byte) {
	t.Helper()
	changed := bytes.Clone(good)
	changed[40] ^= 1
	for name, b := range map[string][]byte{"changed": changed, "a picture": []byte("\x89PNG and nothing that is an update")} {
		code, text, err := send(t.Context(), m, b)
		if err != nil || code != http.StatusUnprocessableEntity || !strings.Contains(text, "Nothing was changed") {
			t.Errorf("%s: %d %s, %v", name, code, text, err)
		}
	}
	resp, err := http.Post(m.URL()+"/update", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger: %s", resp.Status)
	}
}

// TestPowerCutsDuringUpdate cuts the power four times while an update is written.
func TestPowerCutsDuringUpdate(t *testing.T) {
	need(t, layout.AMD64, "all")
	b := updates{t: t, dir: t.TempDir()}.make("good", 1, "", 10*time.Minute)
	c, m := claimed(t, Config{})
	write(t, m, "kept.txt", "kept through it all")
	for i := range 4 {
		ctx, end := context.WithCancel(t.Context())
		sent := make(chan struct{})
		go func() { // ends with ctx, or with the machine
			defer close(sent)
			send(ctx, m, b)
		}()
		select {
		case <-time.After(time.Duration(2+3*i) * time.Second):
		case <-sent:
			t.Logf("cut %d came after the update was in", i)
		}
		m.Cut()
		end()
		<-sent
		m = start(t, c)
		answers(t, m, "/healthz", "ok")
		has(t, m, "kept.txt", "kept through it all")
	}
}
