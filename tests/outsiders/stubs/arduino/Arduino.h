#pragma once
#include <stddef.h>
#include <stdint.h>
typedef uint8_t byte;
typedef bool boolean;
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define bit(b) (1UL << (b))
#define sq(x) ((x) * (x))
struct HardwareSerial {
  void begin(unsigned long baud);
  size_t println(const char *text);
};
extern HardwareSerial Serial;
extern "C" {
void delay(uint32_t ms);
int64_t esp_timer_get_time(void);
uint32_t esp_random(void);
void configTime(long offset, int daylight, const char *server);
}
