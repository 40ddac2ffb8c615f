/* channels.go - goroutines that give way to each other, and that send values through channels. */
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	capacity = 128
	crowd    = 4
)

// Two goroutines that give way to each other; meaningful with one worker only.
func yield() []float64 {
	yields := size(1000000, 100000)
	var both sync.WaitGroup
	both.Add(2)
	begun := time.Now()
	for i := 0; i < 2; i++ {
		go func() {
			for k := 0; k < yields; k++ {
				runtime.Gosched()
			}
			both.Done()
		}()
	}
	both.Wait()
	return []float64{since(begun, 2*float64(yields))}
}

// The sum of what comes, which must be 0, 1, 2 ... if ordered.
func take(c <-chan uint64, ordered bool) (seen, sum uint64) {
	for value := range c {
		if ordered && value != seen {
			fail("channel: %d came in place of %d", value, seen)
		}
		seen++
		sum += value
	}
	return
}

// putters put n values each, takers take them.
func stream(buffer, putters, takers, n int) []float64 {
	c := make(chan uint64, buffer)
	var putting, taking sync.WaitGroup
	var seen, sum uint64
	putting.Add(putters)
	taking.Add(takers)
	begun := time.Now()
	for i := 0; i < putters; i++ {
		go func() {
			for k := 0; k < n; k++ {
				c <- uint64(k)
			}
			putting.Done()
		}()
	}
	for i := 0; i < takers; i++ {
		go func() {
			mySeen, mySum := take(c, putters == 1 && takers == 1)
			atomic.AddUint64(&seen, mySeen)
			atomic.AddUint64(&sum, mySum)
			taking.Done()
		}()
	}
	putting.Wait()
	close(c)
	taking.Wait()
	total := uint64(n) * uint64(putters)
	ns := since(begun, float64(total))
	expect(seen, total, "values taken")
	expect(sum, uint64(n)*uint64(n-1)/2*uint64(putters), "their sum")
	return []float64{ns}
}

func pingpong() []float64 {
	n := size(300000, 30000)
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	begun := time.Now()
	for i := 0; i < n; i++ {
		there <- uint64(i)
		expect(<-back, uint64(i), "answer")
	}
	return []float64{since(begun, float64(n))}
}
