/* select.go - selects, in the shapes of Go's own benchmarks of them. */
package main

import (
	"runtime"
	"sync"
	"time"
)

const eight = 8

func swapBetween(a, b chan uint64, n int) (sum uint64) {
	for i := 0; i < n; i++ {
		select {
		case value := <-a:
			b <- value + 1
			sum += value
		case value := <-b:
			a <- value + 1
			sum += value
		}
	}
	return
}

func selectUncontended() []float64 {
	n := size(3000000, 300000)
	a, b := make(chan uint64, 1), make(chan uint64, 1)
	a <- 0
	begun := time.Now()
	sum := swapBetween(a, b, n)
	ns := since(begun, float64(n))
	expect(sum, uint64(n)*uint64(n-1)/2, "the sum")
	return []float64{ns}
}

func selectTwo() []float64 {
	n := size(3000000, 300000)
	a, b := make(chan uint64, 1), make(chan uint64, 1)
	a <- 1
	b <- 2
	var sum uint64
	var count [2]uint64
	begun := time.Now()
	for i := 0; i < n; i++ {
		select {
		case value := <-a:
			a <- value
			sum += value
			count[0]++
		case value := <-b:
			b <- value
			sum += value
			count[1]++
		}
	}
	ns := since(begun, float64(n))
	expect(sum, count[0]+2*count[1], "the sum")
	return []float64{ns}
}

func selectEight() []float64 {
	n := size(1000000, 100000)
	var c [eight]chan uint64
	for k := range c {
		c[k] = make(chan uint64, 1)
	}
	c[0] <- 0
	var sum uint64
	begun := time.Now()
	for i := 0; i < n; i++ {
		var value uint64
		var k int
		select {
		case value = <-c[0]:
			k = 0
		case value = <-c[1]:
			k = 1
		case value = <-c[2]:
			k = 2
		case value = <-c[3]:
			k = 3
		case value = <-c[4]:
			k = 4
		case value = <-c[5]:
			k = 5
		case value = <-c[6]:
			k = 6
		case value = <-c[7]:
			k = 7
		}
		c[(k+5)%eight] <- value + 1
		sum += value
	}
	ns := since(begun, float64(n))
	expect(sum, uint64(n)*uint64(n-1)/2, "the sum")
	return []float64{ns}
}

func selectTry() []float64 {
	n := size(1000000, 100000)
	rendezvous, buffered := make(chan uint64), make(chan uint64, 1)
	var done uint64
	begun := time.Now()
	for i := 0; i < n; i++ {
		select {
		case <-rendezvous:
			done++
		default:
		}
		select {
		case rendezvous <- uint64(i):
			done++
		default:
		}
		select {
		case buffered <- uint64(i):
			done++
		default:
		}
		select {
		case <-buffered:
			done++
		default:
		}
	}
	ns := since(begun, 4*float64(n))
	expect(done, 2*uint64(n), "selects that went well")
	return []float64{ns}
}

// A goroutine for each processor, all on the same two channels.
func selectAsync() []float64 {
	procs := runtime.GOMAXPROCS(0)
	n := size(2000000, 200000) / procs
	a, b := make(chan uint64, procs), make(chan uint64, procs)
	for i := 0; i < procs; i++ {
		a <- 0
	}
	var all sync.WaitGroup
	all.Add(procs)
	begun := time.Now()
	for i := 0; i < procs; i++ {
		go func() {
			swapBetween(a, b, n)
			all.Done()
		}()
	}
	all.Wait()
	ns := since(begun, float64(n*procs))
	expect(uint64(len(a)+len(b)), uint64(procs), "values that are left")
	return []float64{ns}
}

// For each processor one that sends to any of three, and one that receives from any.
func selectSync() []float64 {
	procs := runtime.GOMAXPROCS(0)
	n := size(600000, 60000) / procs
	a, b, c, done := make(chan uint64), make(chan uint64), make(chan uint64), make(chan uint64)
	var receiving sync.WaitGroup
	receiving.Add(procs)
	begun := time.Now()
	for i := 0; i < procs; i++ {
		go func() {
			for {
				select {
				case a <- 1:
				case b <- 1:
				case c <- 1:
				case <-done:
					return
				}
			}
		}()
		go func() {
			var sum uint64
			for k := 0; k < n; k++ {
				select {
				case value := <-a:
					sum += value
				case value := <-b:
					sum += value
				case value := <-c:
					sum += value
				}
			}
			expect(sum, uint64(n), "the sum")
			receiving.Done()
		}()
	}
	receiving.Wait()
	ns := since(begun, float64(n*procs))
	close(done)
	return []float64{ns}
}

func selectPingpong() []float64 {
	n := size(300000, 30000)
	there, back, stop := make(chan uint64), make(chan uint64), make(chan uint64)
	go func() {
		for {
			select {
			case value := <-there:
				select {
				case back <- value:
				case <-stop:
					return
				}
			case <-stop:
				return
			}
		}
	}()
	begun := time.Now()
	for i := 0; i < n; i++ {
		select {
		case there <- uint64(i):
		case <-stop:
		}
		select {
		case value := <-back:
			expect(value, uint64(i), "answer")
		case <-stop:
		}
	}
	ns := since(begun, float64(n))
	close(stop)
	return []float64{ns}
}
