package vmtest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"redhen/images/layout"
)

// TestMemoryWithManySpaces has a box with half a gigabyte keep the spaces of a hundred
// people, and starts it once more: half of its memory stays free.
func TestMemoryWithManySpaces(t *testing.T) {
	need(t, layout.AMD64, "all")
	c, m := claimed(t, Config{Direct: true, Memory: 512, Extra: []string{"-device", "virtio-balloon-pci,id=balloon"}})
	t.Logf("one space: %s", memory(t, m))
	anna := at(t, m, "anna", password).logsIn()
	const people = 99
	begin := time.Now()
	for i := range people {
		login := fmt.Sprintf("hen%d", i)
		at(t, m, login, "a nest of straw").comes(anna.invitesPerson(login))
	}
	t.Logf("%d people came in %.0f s", people, time.Since(begin).Seconds())
	for i := range 5 {
		write(t, m, noteName(i), largeText(i))
	}
	t.Logf("a hundred spaces: %s", memory(t, m))
	m.Cut()
	m = start(t, c)
	answers(t, m, "/healthz", "ok")
	for i := range 5 {
		has(t, m, noteName(i), largeText(i))
	}
	after := memory(t, m)
	t.Logf("a hundred spaces, after a power cut: %s", after)
	if after.available < after.total/3 {
		t.Errorf("too little memory is left: %s", after)
	}
}

// room is the memory of a machine as its own kernel counts it, in bytes.
type room struct{ total, available int64 }

func (r room) String() string {
	return fmt.Sprintf("%d MiB of %d MiB used, %d MiB to be had", (r.total-r.available)>>20, r.total>>20, r.available>>20)
}

// memory asks the machine's balloon.
func memory(t *testing.T, m *Machine) room {
	t.Helper()
	if _, err := m.Order("qom-set /machine/peripheral/balloon guest-stats-polling-interval 1"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // in which the machine tells
	said, err := m.Order("qom-get /machine/peripheral/balloon guest-stats")
	if err != nil {
		t.Fatal(err)
	}
	number := func(name string) int64 {
		found := regexp.MustCompile(`"` + name + `": (\d+)`).FindStringSubmatch(said)
		if found == nil {
			t.Fatalf("the balloon does not tell %s: %s", name, said)
		}
		n, err := strconv.ParseInt(found[1], 10, 64)
		if err != nil {
			t.Fatalf("the balloon tells %s: %v", said, err)
		}
		return n
	}
	return room{total: number("stat-total-memory"), available: number("stat-available-memory")}
}

// invitesPerson invites somebody, and returns the code.
func (p *person) invitesPerson(name string) string {
	p.t.Helper()
	page := p.sends("/invite/person", url.Values{"person": {name}})
	code := regexp.MustCompile(`/welcome/([A-Za-z0-9_-]+)`).FindStringSubmatch(page)
	if code == nil {
		p.t.Fatalf("no code on the page of an invitation:\n%.2000s", page)
	}
	return code[1]
}

// comes takes up an invitation. On a computer that does much else the box may give up
// waiting for its own disk; what it was asked for comes to pass later, or is asked again.
func (p *person) comes(code string) {
	p.t.Helper()
	form := url.Values{"person": {p.login}, "login": {p.login}, "password": {p.password}}
	var page string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Second) {
		var err error
		if page, err = p.ask(http.MethodPost, "/welcome/"+code, strings.NewReader(form.Encode())); err == nil {
			return
		}
		if _, err := p.ask(http.MethodPost, "/login", strings.NewReader(form.Encode())); err == nil {
			return
		}
	}
	p.t.Fatalf("%s cannot come: %.2000s", p.login, words(page))
}
