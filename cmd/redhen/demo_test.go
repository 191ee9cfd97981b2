package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

var aProcess = regexp.MustCompile(`process (\d+)`)

// startDemo starts a demo of two boxes and returns their processes once it is up.
func startDemo(t *testing.T, dir string) (demo *exec.Cmd, boxes []int) {
	t.Helper()
	demo = exec.Command("redhen", "demo", "--boxes", "2", "--dir", dir)
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	demo.Stderr = os.Stderr
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { demo.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "Ctrl-C ends all." {
		if m := aProcess.FindStringSubmatch(lines.Text()); m != nil {
			pid, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			boxes = append(boxes, pid)
		}
	}
	if len(boxes) != 2 {
		t.Fatalf("the demo told %d processes, want 2", len(boxes))
	}
	go io.Copy(io.Discard, out) // ends with the demo
	return demo, boxes
}

// awaitGone waits until no process of the list is there.
func awaitGone(t *testing.T, boxes []int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for _, pid := range boxes {
		for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && !zombie(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d is still there", pid)
			}
			time.Sleep(20 * time.Millisecond) // a real process
		}
	}
}

// zombie reports whether a process has ended and nobody has asked how: an orphan
// in a container without an init.
func zombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && regexp.MustCompile(`\) Z `).Match(b)
}

func TestDemoEndsAllItsBoxesOnCtrlC(t *testing.T) {
	demo, boxes := startDemo(t, t.TempDir())
	if err := demo.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("demo: %v", err)
	}
	awaitGone(t, boxes)
}

func TestDemoThatIsKilledLeavesNoProcess(t *testing.T) {
	demo, boxes := startDemo(t, t.TempDir())
	if err := demo.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	demo.Wait() // it was killed
	awaitGone(t, boxes)
}
