// Package child runs boxes as child processes of this program, each with a state
// folder and ports of its own on the loopback address, and ends them by their
// process IDs. A child ends by itself when this process is gone, however it ended.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"redhen/appliance/api"
)

// Patience of the parent, for slow machines.
const (
	startPatience = 3 * time.Minute
	endPatience   = time.Minute
	lookEvery     = 20 * time.Millisecond
)

// Config says how a box runs.
type Config struct {
	Program string // the path of redhen
	Dir     string // state directory
	Log     string // file that gets what it prints
	HTTP    string // "127.0.0.1:port"; see FreePort
	P2P     int
	LAN     bool // the pages are at all addresses of the machine
	// Namespace is the network namespace in which it runs, reached by other boxes at all its
	// addresses; "" = this one, and the loopback address alone.
	Namespace string
	// Flags are given to redhen run after all others, and win over them.
	Flags []string
}

// Box is a running child.
type Box struct {
	Config
	*api.Client

	cmd   *exec.Cmd
	input io.Closer     // the child ends when it is closed
	ended chan struct{} // closed when the process is gone
}

// FreePort returns a port of 127.0.0.1 that is free for TCP and UDP now. It is none of those
// that Linux gives to passing connections, from 32768 on: a box that ended finds its port free.
func FreePort() (int, error) {
	const from, to = 10_000, 32_768
	for range 100 {
		port := from + rand.IntN(to-from)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		t, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", addr)
		t.Close()
		if err == nil {
			u.Close()
			return port, nil
		}
	}
	return 0, errors.New("find a free port: none is free for both TCP and UDP")
}

// Start starts a box and returns when it answers.
func Start(ctx context.Context, cfg Config) (*Box, error) {
	log, err := os.OpenFile(cfg.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start box: %w", err)
	}
	defer log.Close()
	pages := cfg.HTTP
	if cfg.LAN {
		pages = strings.TrimPrefix(pages, "127.0.0.1")
	}
	args := []string{cfg.Program, "run", "--state", cfg.Dir, "--http", pages, "--p2p", fmt.Sprint(cfg.P2P),
		"--no-lan", "--promote-after", "1s", "--with-parent"}
	if cfg.Namespace == "" {
		args = append(args, "--listen", "127.0.0.1")
	} else {
		args = append([]string{"ip", "netns", "exec", cfg.Namespace}, args...)
	}
	args = append(args, cfg.Flags...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the parent
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start box: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start box: %w", err)
	}
	b := &Box{Config: cfg, Client: api.NewClient(cfg.Dir), cmd: cmd, input: input, ended: make(chan struct{})}
	go func() { // ends with the process
		cmd.Wait() // how it ended says its log
		close(b.ended)
	}()
	if err := b.answer(ctx); err != nil {
		b.Kill()
		return nil, err
	}
	return b, nil
}

// answer waits until the box answers.
func (b *Box) answer(ctx context.Context) error {
	ctx, end := context.WithTimeout(ctx, startPatience)
	defer end()
	for {
		if _, err := b.Box(ctx); err == nil {
			return nil
		}
		select {
		case <-b.ended:
			return fmt.Errorf("box ended at once:\n%s", LastWords(b.Log, 8))
		case <-ctx.Done():
			return fmt.Errorf("box does not answer: %w; it said last:\n%s", ctx.Err(), LastWords(b.Log, 8))
		case <-time.After(lookEvery):
		}
	}
}

// URL is where its pages are, without a slash at the end.
func (b *Box) URL() string { return "http://" + b.HTTP }

// Ended is closed when the process is gone.
func (b *Box) Ended() <-chan struct{} { return b.ended }

// PID is the process.
func (b *Box) PID() int { return b.cmd.Process.Pid }

// Stop has the box end in good order, and kills it when it does not; its log says so.
func (b *Box) Stop() {
	b.input.Close()
	b.cmd.Process.Signal(syscall.SIGTERM) // fails when it is gone already
	select {
	case <-b.ended:
	case <-time.After(endPatience):
		b.Kill()
		b.note(fmt.Sprintf("the box did not end within %v, and was killed", endPatience))
	}
}

// note adds a line of the parent to the log.
func (b *Box) note(line string) {
	log, err := os.OpenFile(b.Log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return // its folder is gone: nobody reads it any more
	}
	defer log.Close()
	fmt.Fprintln(log, line)
}

// StopAll stops boxes side by side; nil ones are passed over.
func StopAll(boxes ...*Box) {
	var all sync.WaitGroup
	for _, b := range boxes {
		if b != nil {
			all.Go(b.Stop)
		}
	}
	all.Wait()
}

// Kill ends the box as a fire would, and returns when the process is gone.
func (b *Box) Kill() {
	b.cmd.Process.Kill() // fails when it is gone already
	<-b.ended
}

// Build builds redhen into dir, with flags for go build, and returns its path.
func Build(dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "redhen")
	args := append([]string{"build", "-o", path}, flags...)
	if out, err := exec.Command("go", append(args, "redhen/cmd/redhen")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build redhen: %w\n%s", err, out)
	}
	return path, nil
}

// Command runs one redhen command on a box's state directory and returns what it printed.
func Command(ctx context.Context, program, dir, input string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, append([]string{"--state", dir, "--json"}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("redhen %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return out, nil
}

// New starts the box of a name below dir, on free ports.
func New(ctx context.Context, program, dir, name string) (*Box, error) {
	pages, err := FreePort()
	if err != nil {
		return nil, err
	}
	p2p, err := FreePort()
	if err != nil {
		return nil, err
	}
	return Start(ctx, Config{
		Program: program, Dir: filepath.Join(dir, name), Log: filepath.Join(dir, name+".log"),
		HTTP: fmt.Sprintf("127.0.0.1:%d", pages), P2P: p2p,
	})
}
