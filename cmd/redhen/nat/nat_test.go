package nat

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"redhen/appliance/api"
	"redhen/appliance/status"
	"redhen/cmd/redhen/child"
)

const (
	program   = "REDHEN_TEST_PROGRAM" // path of redhen
	delaying  = "REDHEN_TEST_DELAY"   // this process is the one that delays
	oneWay    = 20 * time.Millisecond
	patience  = 2 * time.Minute
	password  = "mia likes good eggs"
	copySize  = 24 << 20
	lookEvery = 100 * time.Millisecond
)

func TestMain(m *testing.M) {
	if device := os.Getenv(delaying); device != "" {
		go func() { // ends with the parent
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		fmt.Fprintln(os.Stderr, Delay(device, oneWay, func() { fmt.Println("ready") }))
		os.Exit(1)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Getenv(program) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "redhen-nat-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	path, err := child.Build(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(program, path)
	return m.Run()
}

// lab makes the internet, with its delay, or skips with a sentence.
func lab(t *testing.T) *Lab {
	t.Helper()
	if testing.Short() || os.Geteuid() != 0 {
		t.Skip("network namespaces need root, and time: make nat")
	}
	for _, p := range []string{"ip", "nft", "rclone", "tcpdump"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: make setup", p)
		}
	}
	l, err := New(fmt.Sprintf("rh%d", os.Getpid()%100000))
	t.Cleanup(l.Close)
	if err != nil {
		t.Skipf("this kernel gives no network namespaces: %v", err)
	}
	delay(t, l)
	return l
}

// delay starts the process that delays packets.
func delay(t *testing.T, l *Lab) {
	t.Helper()
	const device = "slow0"
	cmd := exec.Command("ip", "netns", "exec", l.Net(), os.Args[0])
	cmd.Env = append(os.Environ(), delaying+"="+device)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Skip("this kernel gives no tun device, which the delay needs")
	}
	if err := l.Route(device); err != nil {
		t.Fatal(err)
	}
}

// start starts a box in a namespace.
func start(t *testing.T, namespace string) *child.Box {
	t.Helper()
	dir := t.TempDir()
	b, err := child.Start(t.Context(), child.Config{
		Program: os.Getenv(program), Dir: filepath.Join(dir, "state"), Log: filepath.Join(dir, "log"),
		HTTP: "127.0.0.1:8080", P2P: 4717, Namespace: namespace,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Stop()
		if t.Failed() {
			t.Logf("%s ends:\n%s", namespace, child.LastWords(b.Log, 12))
		}
	})
	return b
}

// found makes one circle of the boxes, by tickets.
func found(t *testing.T, boxes ...*child.Box) (device string) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), patience)
	defer end()
	keeper := func(i int) api.Keeper { return api.Keeper{Login: fmt.Sprint("keeper", i), Password: password} }
	err := boxes[0].Found(ctx, api.Found{Circle: "Hens", House: "House 0", Box: "box0", Keeper: keeper(0)})
	for i := 1; err == nil && i < len(boxes); i++ {
		var ticket api.Ticket
		if ticket, err = boxes[0].InviteBox(ctx, api.BoxInvite{Waived: true}); err == nil {
			join := api.Join{Ticket: ticket.Text, House: fmt.Sprint("House ", i), Box: fmt.Sprint("box", i), Keeper: keeper(i)}
			err = boxes[i].Join(ctx, join, func(api.Step) {})
		}
	}
	if err == nil {
		_, err = boxes[0].AddAccount(ctx, api.NewAccount{Login: "mia", FullName: "Mia", Password: password})
	}
	var d api.Device
	if err == nil {
		d, err = boxes[0].AddDevice(ctx, "mia", "rclone")
	}
	if err != nil {
		t.Fatal(err)
	}
	return d.Password
}

// await waits until a box's report is as it should be, and returns how long that took.
func await(t *testing.T, b *child.Box, what string, enough func(status.Report) bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		r, err := b.Status(t.Context())
		if err == nil && enough(r) {
			return time.Since(begun)
		}
		if time.Since(begun) > patience {
			t.Fatalf("not within %v: %s: %v\n%s", patience, what, err, child.Tell(r))
		}
		time.Sleep(lookEvery)
	}
}

func safe(r status.Report) bool { return r.Safe == status.Yes }

// reached says how a house is reached in a report.
func reached(name string, how status.How) func(status.Report) bool {
	return func(r status.Report) bool {
		for _, h := range r.Houses {
			if h.Name == name {
				return h.Reached.How == how
			}
		}
		return false
	}
}

// rclone begins a command of rclone in the box's namespace.
func rclone(t *testing.T, b *child.Box, secret string, args ...string) *exec.Cmd {
	t.Helper()
	obscured, err := exec.Command("rclone", "obscure", secret).Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ip", append([]string{"netns", "exec", b.Namespace, "rclone", "--config", "/dev/null",
		"--webdav-url", b.URL() + "/dav/mia", "--webdav-user", "mia", "--webdav-pass", strings.TrimSpace(string(obscured)),
		"--webdav-vendor", "other", "--retries", "1", "--low-level-retries", "3"}, args...)...)
	return cmd
}

// tap records what passes a namespace's network until it is closed, and returns it.
func tap(t *testing.T, namespace string) (stop func() []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tap.pcap")
	cmd := exec.Command("ip", "netns", "exec", namespace, "tcpdump", "-i", "eth0", "--immediate-mode", "-U", "-w", file, "-Z", "root")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bufio.NewReader(errs).ReadString('\n') // it listens
	ended := false
	end := func() {
		if !ended {
			cmd.Process.Signal(syscall.SIGTERM)
			go io.Copy(io.Discard, errs) // until it ends
			cmd.Wait()
			ended = true
		}
	}
	t.Cleanup(end)
	return func() []byte {
		end()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// marked is a file of a size that bears a marker in every kilobyte.
func marked(t *testing.T, size int) (path, marker string, content []byte) {
	t.Helper()
	raw := make([]byte, 16)
	rand.Read(raw) // never fails
	marker = hex.EncodeToString(raw)
	filler := make([]byte, 1024-len(marker))
	for len(content) < size {
		rand.Read(filler) // or chunks would be the same
		content = append(append(content, marker...), filler...)
	}
	path = filepath.Join(t.TempDir(), "photo.jpg")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, marker, content
}

// Rule: boxes behind the kernel's NAT pair by ticket and are a circle; what those routers
// allow is direct, the rest passes the host that can be called, which sees no plain text; and
// a copy under which the address of the house changes ends whole.
func TestBoxesBehindTheKernelsNAT(t *testing.T) {
	for _, c := range []struct {
		name   string
		random [2]bool
		noUDP  bool
		want   status.How
	}{
		{"both like most homes", [2]bool{false, false}, false, status.Direct},
		{"both with random ports", [2]bool{true, true}, false, status.Through},
		{"one lets no UDP pass", [2]bool{false, false}, true, status.Through},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lab(t)
			host, err := l.Host()
			if err != nil {
				t.Fatal(err)
			}
			var homes [2]*Home
			for i, random := range c.random {
				if homes[i], err = l.Home(random); err != nil {
					t.Fatal(err)
				}
			}
			if c.noUDP {
				if err := homes[0].BlockUDP(); err != nil {
					t.Fatal(err)
				}
			}
			boxes := []*child.Box{start(t, host), start(t, homes[0].Box), start(t, homes[1].Box)}
			secret := found(t, boxes...)
			t.Logf("linked as wanted after %v", await(t, boxes[1], "a link", reached("House 2", c.want)))
			await(t, boxes[1], "all is safe", safe)
			copyWhileMoving(t, l, homes[0], boxes, secret, c.want)
		})
	}
}

func copyWhileMoving(t *testing.T, _ *Lab, home *Home, boxes []*child.Box, secret string, want status.How) {
	path, marker, content := marked(t, copySize)
	recorded := tap(t, boxes[0].Namespace)
	up := rclone(t, boxes[1], secret, "copy", path, ":webdav:", "--bwlimit", "4M")
	var said bytes.Buffer
	up.Stdout, up.Stderr = &said, &said
	begun := time.Now()
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // the copy is under way
	if err := home.Move(); err != nil {
		t.Error(err)
	}
	moved := time.Now()
	if err := up.Wait(); err != nil {
		t.Fatalf("rclone: %v\n%s", err, said.String())
	}
	t.Logf("copied in %v, moved after %v", time.Since(begun), moved.Sub(begun))
	t.Logf("as wanted again after another %v", await(t, boxes[1], "the link again", reached("House 2", want)))
	await(t, boxes[1], "all is safe again", safe)
	var got bytes.Buffer
	down := rclone(t, boxes[2], secret, "cat", ":webdav:photo.jpg")
	down.Stdout = &got
	if err := down.Run(); err != nil || !bytes.Equal(got.Bytes(), content) {
		t.Fatalf("at the other house: %d bytes of %d, %v", got.Len(), len(content), err)
	}
	seen := recorded()
	if len(seen) < copySize {
		t.Errorf("only %d bytes were recorded at the host that relays", len(seen))
	}
	if bytes.Contains(seen, []byte(marker)) {
		t.Error("plain text was seen at the host that relays")
	}
}

// Rule: the recording would show plain text if there was any.
func TestTheTapSeesPlainText(t *testing.T) {
	l := lab(t)
	host, err := l.Host()
	if err != nil {
		t.Fatal(err)
	}
	home, err := l.Home(false)
	if err != nil {
		t.Fatal(err)
	}
	recorded := tap(t, host)
	cmd := exec.Command("ip", "netns", "exec", home.Box, "bash", "-c", "for i in 1 2 3; do echo cluck-cluck-cluck >/dev/udp/8.1.0.2/9; sleep 0.2; done")
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	time.Sleep(time.Second) // on a busy machine the last packets arrive late
	if !bytes.Contains(recorded(), []byte("cluck-cluck-cluck")) {
		t.Errorf("nothing was seen in %v", time.Since(begun))
	}
}
